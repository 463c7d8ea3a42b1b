"""Reads a package of statements: each begins with `-- name: ...` and ends with a semicolon."""

from __future__ import annotations

import re
from importlib.resources import files

_HEAD = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_ROW = re.compile(r"VALUES (\(\?1\b[^)]*\))")
_NUMBERED = re.compile(r"\?\d+")
_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)


def load(package: str) -> dict[str, str]:
    """Return the statements of `package` by name, without comments; reads files.

    Raises:
        ValueError: Two have the same name.
    """
    found: dict[str, str] = {}
    for file in sorted(files(package).iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".sql"):
            continue
        parts = _HEAD.split(file.read_text(encoding="utf-8"))[1:]
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"two statements are named {name}")
            found[name] = _COMMENT.sub("", text).strip().rstrip(";")
    return found


def for_rows(sql: str, count: int) -> str:
    """Return `sql` with its row of VALUES `count` times; its parameters are those of the rows, in order."""
    row = _ROW.search(sql)
    if row is None:
        raise ValueError("the statement has no row of parameters")
    rows = ", ".join([_NUMBERED.sub("?", row[1])] * count)
    return f"{sql[: row.start(1)]}{rows}{sql[row.end(1) :]}"

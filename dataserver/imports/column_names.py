"""Names for columns out of whatever a file calls its fields."""

from __future__ import annotations

from collections.abc import Iterable

MAX_COLUMN_COUNT = 1_000
"""More than that cannot be encoded as JSON by SQLite in one call; such a file is refused."""


def distinct(fields: Iterable[str]) -> list[str]:
    """Return a name a field: never empty, and different even to SQLite, which ignores case in ASCII.

    `["id", "ID", ""]` gives `["id", "ID_2", "column_3"]`.
    """
    names: list[str] = []
    taken: set[str] = set()
    for number, field in enumerate(fields, start=1):
        wanted = field.replace("\0", "").strip() or f"column_{number}"
        name, count = wanted, 1
        while _folded(name) in taken:
            count += 1
            name = f"{wanted}_{count}"
        taken.add(_folded(name))
        names.append(name)
    return names


def _folded(name: str) -> str:
    """Return `name` as SQLite compares it: only A to Z are folded."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'

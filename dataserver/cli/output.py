"""Data on stdout: a table for a person, JSON for a program."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

import msgspec

_MAX_CELL_CHARACTERS = 500


def is_terminal() -> bool:
    """Tell whether a person reads stdout."""
    return sys.stdout.isatty()


def write_json(value: object) -> None:
    """Write a value as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def write_table(rows: Sequence[Mapping[str, object]], *, columns: Iterable[str] | None = None) -> None:
    """Write rows as a table; the columns are those of the first row unless they are given."""
    from rich.console import Console  # noqa: PLC0415 - 70 ms that only a terminal pays
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    names = list(columns) if columns is not None else list(rows[0]) if rows else []
    table = Table()
    for name in names:
        numeric = bool(rows) and all(isinstance(row.get(name), int | float | None) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    Console().print(table)


def _cell(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_CELL_CHARACTERS else f"{text[:_MAX_CELL_CHARACTERS]}..."

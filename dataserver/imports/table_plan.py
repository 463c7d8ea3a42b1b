"""The SQL of an import: the table, the rows, and the ledger that lets a killed import go on where it was.

The ledger is a table of the same database, and each batch moves it on in its own transaction: rows and place are
written together or not at all, so a row can be neither lost nor doubled, however the import ends. A batch says from
which place it starts, and is refused whole (NOT NULL) if another import of the same file has moved on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dataserver.imports.column_names import distinct, quoted
from dataserver.imports.inference import ColumnType
from dataserver.imports.records import Position

Statement = tuple[str, list[Any]]

LEDGER = "_dataserver_imports"

MAKE_LEDGER = f"""
CREATE TABLE IF NOT EXISTS {LEDGER} (
    table_name     TEXT    NOT NULL,
    source_sha256  TEXT    NOT NULL,
    source_name    TEXT    NOT NULL,
    columns        TEXT    NOT NULL,
    byte_offset    INTEGER NOT NULL,
    line_number    INTEGER NOT NULL,
    row_count      INTEGER NOT NULL DEFAULT 0,
    skipped_count  INTEGER NOT NULL DEFAULT 0,
    started_at_ms  INTEGER NOT NULL,
    finished_at_ms INTEGER,
    PRIMARY KEY (table_name, source_sha256)
) STRICT, WITHOUT ROWID
"""
READ_LEDGER = f"""
SELECT columns, byte_offset, line_number, row_count, skipped_count, finished_at_ms
FROM {LEDGER} WHERE table_name = ? AND source_sha256 = ?
"""  # noqa: S608 - the table's name is a constant of this file, here and below
_OPEN_ENTRY = f"""
INSERT INTO {LEDGER} (table_name, source_sha256, source_name, columns, byte_offset, line_number, started_at_ms)
VALUES (?, ?, ?, ?, 0, 0, ?)
"""  # noqa: S608
_MOVE_ON = f"""
UPDATE {LEDGER}
SET byte_offset = CASE WHEN byte_offset = ? THEN ? END, line_number = ?,
    row_count = row_count + ?, skipped_count = skipped_count + ?
WHERE table_name = ? AND source_sha256 = ?
"""  # noqa: S608
_CLOSE_ENTRY = f"UPDATE {LEDGER} SET finished_at_ms = ? WHERE table_name = ? AND source_sha256 = ?"  # noqa: S608

_MAX_STATEMENT_CHARACTERS = 15_000  # what apsw still keeps prepared is 16 KiB
_MAX_PARAMETER_COUNT = 32_000  # SQLite allows 32,766
_MAX_ROWS_PER_STATEMENT = 500


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column, and the field of the file that fills it."""

    field: str
    name: str
    type: ColumnType


class TablePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which table a file fills, and how."""

    table: str
    columns: tuple[Column, ...]
    primary_key: str | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import has come, as the ledger has it."""

    columns: str
    byte_offset: int
    line_number: int
    row_count: int
    skipped_count: int
    finished_at_ms: int | None

    @property
    def position(self) -> Position:
        """Where reading goes on."""
        return Position(self.byte_offset, self.line_number)


def plan_new(table: str, types: Mapping[str, ColumnType], *, primary_key: str | None) -> TablePlan:
    """Return the plan of a table made for a file whose fields have `types`."""
    names = distinct(types)
    columns = tuple(
        Column(field=field, name=name, type=kind)
        for (field, kind), name in zip(types.items(), names, strict=True)
    )
    return TablePlan(table=table, columns=columns, primary_key=primary_key)


def make_table(plan: TablePlan) -> Statement:
    """Return the statement that makes the table."""
    lines = [
        f"{quoted(column.name)} {column.type}{' PRIMARY KEY' if column.name == plan.primary_key else ''}"
        for column in plan.columns
    ]
    body = ",\n    ".join(lines)
    return (f"CREATE TABLE {quoted(plan.table)} (\n    {body}\n) STRICT", [])


def insert_rows(plan: TablePlan, rows: Sequence[Sequence[object]]) -> Iterable[Statement]:
    """Yield the statements that insert `rows`, each many at a time and of few different texts."""
    width = len(plan.columns)
    one = f"({','.join('?' * width)}),"
    names = ", ".join(quoted(column.name) for column in plan.columns)
    head = f"INSERT INTO {quoted(plan.table)} ({names}) VALUES "  # noqa: S608 - quoted
    room = max(1, _MAX_STATEMENT_CHARACTERS - len(head))
    count = max(1, min(_MAX_ROWS_PER_STATEMENT, room // len(one), _MAX_PARAMETER_COUNT // width))
    for start in range(0, len(rows), count):
        group = rows[start : start + count]
        yield (head + (one * len(group))[:-1], [value for row in group for value in row])


def open_entry(plan: TablePlan, *, sha256: str, source: str, now: float) -> Statement:
    """Return the statement that begins the ledger's entry (`now` in UTC seconds)."""
    columns = msgspec.json.encode(plan.columns).decode()
    return (_OPEN_ENTRY, [plan.table, sha256, source, columns, int(now * 1000)])


def move_on(
    plan: TablePlan, *, sha256: str, before: Position, after: Position, row_count: int, skipped_count: int
) -> Statement:
    """Return the statement that moves the entry on; it fails (NOT NULL) if the entry is not at `before`."""
    return (
        _MOVE_ON,
        [before.offset, after.offset, after.line_number, row_count, skipped_count, plan.table, sha256],
    )


def close_entry(plan: TablePlan, *, sha256: str, now: float) -> Statement:
    """Return the statement that ends the ledger's entry."""
    return (_CLOSE_ENTRY, [int(now * 1000), plan.table, sha256])


def planned_columns(place: Place) -> tuple[Column, ...]:
    """Return the columns as they were planned when the import began."""
    return msgspec.json.decode(place.columns, type=tuple[Column, ...])

"""The SQL that logs changes: the tables of the log, and the triggers on a table that is followed. Pure.

A trigger is the only thing that sees every change: DELETE without WHERE, tables without a rowid, cascades of foreign
keys, and what other processes write. It sees one thing late: a row that REPLACE removes because it conflicts on a
UNIQUE column fires no DELETE trigger (with `recursive_triggers` it would, but then a caller's trigger that updates its
own table would never end). So where a table has such columns, what conflicts is noted before each row, and logged as
deleted once the row is in: nothing that conflicted can still be there then.

The newest change is never pruned, so the next number is always one more, without AUTOINCREMENT: that keeps its count
where callers may write.

A change of the key is logged as a DELETE and an INSERT; REPLACE over the very key of a row that is there, as an INSERT.
Values are JSON; what JSON lacks is `{"$hex": ...}` for bytes and `{"$real": ...}` for the infinities: no stored value
looks like that, for a text is quoted.
"""

# ruff: noqa: S608 - names are quoted by `quoted` and `_text`, and nothing else is put into SQL
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "_changes"
"""Of all that belongs to the log; callers can't write, alter or drop what is called so."""
MAX_COLUMNS_COUNT = 400
"""Of a table whose values are logged; SQLite builds an object of no more than some five hundred."""

NOW_MS = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

_PRUNE_EVERY_COUNT = 256
_PRUNED_AT_ONCE_COUNT = 1_024

LOG = (
    """
    CREATE TABLE _changes (
        seq INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        "table" TEXT NOT NULL,
        op TEXT NOT NULL CHECK (op IN ('insert', 'update', 'delete', 'follow', 'unfollow')),
        key TEXT NOT NULL,
        old TEXT,
        new TEXT
    ) STRICT
    """,
    """
    CREATE TABLE _changes_log (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch TEXT NOT NULL,
        max_count INTEGER NOT NULL CHECK (max_count > 0),
        max_age_ms INTEGER NOT NULL CHECK (max_age_ms > 0)
    ) STRICT
    """,
    """
    CREATE TABLE _changes_followed (
        "table" TEXT PRIMARY KEY,
        has_values INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE _changes_replaced (
        "table" TEXT NOT NULL,
        row INTEGER,
        key TEXT NOT NULL,
        old TEXT
    ) STRICT
    """,
    # What goes is always the oldest, without a hole: whoever follows sees by arithmetic that it missed something.
    f"""
    CREATE TRIGGER _changes_prune AFTER INSERT ON _changes WHEN new.seq % {_PRUNE_EVERY_COUNT} = 0 BEGIN
        DELETE FROM _changes WHERE seq IN (
            SELECT seq FROM _changes WHERE seq <= new.seq - (SELECT max_count FROM _changes_log)
            ORDER BY seq LIMIT {_PRUNED_AT_ONCE_COUNT}
        );
        DELETE FROM _changes WHERE seq < (
            SELECT coalesce(
                min(seq) FILTER (WHERE at_ms >= new.at_ms - (SELECT max_age_ms FROM _changes_log)), max(seq)
            ) FROM (SELECT seq, at_ms FROM _changes ORDER BY seq LIMIT {_PRUNED_AT_ONCE_COUNT})
        );
    END
    """,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class UniqueIndex:
    """What no two rows of a table may share, the primary key too: 'a' and 'A' may conflict, or 1 and 1.0."""

    columns: tuple[tuple[str, str], ...]
    """Each with the name of its collation."""
    is_partial: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowedTable:
    """A table as its triggers have to know it."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The columns of the primary key, or a name of the rowid."""
    rowid: str | None
    """A name of the rowid that no column has; None where there is no rowid."""
    unique: tuple[UniqueIndex, ...]
    has_values: bool


def quoted(name: str) -> str:
    """Return `name` as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def trigger_names(table: str) -> list[str]:
    """Return what the triggers on `table` are called, be they there or not."""
    return [
        f"{PREFIX}_{event}_{table}"
        for event in ("insert", "update", "move", "delete", "before_insert", "before_update")
    ]


def triggers(table: FollowedTable) -> Iterator[str]:
    """Yield the statements that make the triggers on `table`."""
    old, new = _Row(table, "old"), _Row(table, "new")
    name = _text(table.name)
    replaced = _log_replaced(table, new.key)
    yield _trigger(
        table, "insert", "AFTER INSERT", replaced + _log(name, "insert", new.key, "NULL", new.values)
    )
    yield _trigger(table, "delete", "AFTER DELETE", _log(name, "delete", old.key, old.values, "NULL"))
    yield _trigger(
        table,
        "update",
        "AFTER UPDATE",
        replaced + _log(name, "update", new.key, old.values, new.values),
        when=f"{old.key} = {new.key}",
    )
    yield _trigger(
        table,
        "move",
        "AFTER UPDATE",
        replaced
        + _log(name, "delete", old.key, old.values, "NULL")
        + _log(name, "insert", new.key, "NULL", new.values),
        when=f"{old.key} <> {new.key}",
    )
    if table.unique:
        yield _trigger(table, "before_insert", "BEFORE INSERT", _note_conflicts(table, ""))
        yield _trigger(
            table,
            "before_update",
            "BEFORE UPDATE",
            _note_conflicts(table, f" AND {_Row(table, 't').key} <> {old.key}"),
        )


class _Row:
    """SQL for the key and the values of a row that is called `alias`."""

    def __init__(self, table: FollowedTable, alias: str) -> None:
        self.key = "json_array(" + ", ".join(_value(alias, column) for column in table.key) + ")"
        self.values = "NULL"
        if table.has_values:
            pairs = (f"{_text(column)}, {_value(alias, column)}" for column in table.columns)
            self.values = "json_object(" + ", ".join(pairs) + ")"


def _value(alias: str, column: str) -> str:
    value = f"{alias}.{quoted(column)}"
    return (
        f"CASE typeof({value}) WHEN 'blob' THEN json_object('$hex', hex({value})) "
        f"WHEN 'real' THEN iif(abs({value}) = 9e999, json_object('$real', {value} || ''), {value}) ELSE {value} END"
    )


def _note_conflicts(table: FollowedTable, but: str) -> str:
    conflicts = " OR ".join(
        "("
        + " AND ".join(
            f"t.{quoted(column)} = new.{quoted(column)} COLLATE {quoted(collation)}"
            for column, collation in index.columns
        )
        + ")"
        for index in table.unique
    )
    row = _Row(table, "t")
    rowid = "NULL" if table.rowid is None else f"t.{quoted(table.rowid)}"
    return (
        f'DELETE FROM _changes_replaced WHERE "table" = {_text(table.name)};\n'
        f"INSERT INTO _changes_replaced SELECT {_text(table.name)}, {rowid}, {row.key}, {row.values}"
        f" FROM {quoted(table.name)} AS t WHERE ({conflicts}){but};\n"
    )


def _log_replaced(table: FollowedTable, new_key: str) -> str:
    if not table.unique:
        return ""
    is_gone = ""
    if any(index.is_partial for index in table.unique):  # what shares the columns may still be there
        is_gone = f" AND NOT EXISTS (SELECT 1 FROM {quoted(table.name)} AS t WHERE t.{quoted(table.rowid or '')} = r.row)"
    return (
        f'INSERT INTO _changes (at_ms, "table", op, key, old) SELECT {NOW_MS}, r."table", \'delete\', r.key, r.old'
        f' FROM _changes_replaced AS r WHERE r."table" = {_text(table.name)} AND r.key <> {new_key}{is_gone};\n'
    )


def _log(table: str, op: str, key: str, old: str, new: str) -> str:
    return (
        'INSERT INTO _changes (at_ms, "table", op, key, old, new)'
        f" VALUES ({NOW_MS}, {table}, '{op}', {key}, {old}, {new});\n"
    )


def _trigger(table: FollowedTable, event: str, moment: str, body: str, *, when: str = "") -> str:
    name = quoted(f"{PREFIX}_{event}_{table.name}")
    condition = f" WHEN {when}" if when else ""
    return f"CREATE TRIGGER {name} {moment} ON {quoted(table.name)}{condition} BEGIN\n{body}END"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

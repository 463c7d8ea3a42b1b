"""Following tables, as the writer does it: the log is made, triggers come and go, each in one transaction.

A followed table may be altered: its triggers are made anew in the transaction that altered it. What would break the
log is refused, and says to stop following first: dropping or renaming the table, and a UNIQUE index of expressions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from storage.errors import NotAllowed, TableNotFollowed
from storage.sqlite.change_triggers import (
    LOG,
    MAX_COLUMNS_COUNT,
    NOW_MS,
    PREFIX,
    FollowedTable,
    UniqueIndex,
    quoted,
    trigger_names,
    triggers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from storage.sqlite.writer_connection import WriterConnection
    from workers import Call

MAX_COUNT = 100_000
MAX_AGE_MS = 7 * 24 * 3_600 * 1_000

_HAS_LOG = "SELECT 1 FROM sqlite_schema WHERE name = '_changes_log' AND type = 'table'"
_MADE = "INSERT INTO _changes_log VALUES (1, lower(hex(randomblob(8))), ?, ?)"
_CURSOR = "SELECT epoch, coalesce((SELECT max(seq) FROM _changes), 0) FROM _changes_log"
_FACTS = "SELECT name, wr FROM pragma_table_list(?) WHERE schema = 'main' AND type = 'table'"
_COLUMNS = "SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid"
_UNIQUE = 'SELECT name, partial FROM pragma_index_list(?) WHERE "unique"'
_INDEXED = "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno"
_FOLLOWED = 'SELECT has_values FROM _changes_followed WHERE "table" = ?'
_FOLLOW = "INSERT INTO _changes_followed VALUES (?1, ?2) ON CONFLICT DO UPDATE SET has_values = ?2"
_UNFOLLOW = 'DELETE FROM _changes_followed WHERE "table" = ?'
_NOTE = f"INSERT INTO _changes (at_ms, \"table\", op, key) VALUES ({NOW_MS}, ?, ?, '[]')"  # noqa: S608 - a constant
_KEEP = "UPDATE _changes_log SET max_count = ?, max_age_ms = ?"
_NEW_EPOCH = "UPDATE _changes_log SET epoch = lower(hex(randomblob(8)))"

_ROWIDS = ("rowid", "_rowid_", "oid")
_CHANGES_ROWS = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})
_CHANGES_SCHEMA = frozenset(
    {
        apsw.SQLITE_ALTER_TABLE,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_VTABLE,
        apsw.SQLITE_DROP_INDEX,
        apsw.SQLITE_DROP_TABLE,
        apsw.SQLITE_DROP_TRIGGER,
    }
)
_ALTERS_A_TABLE = frozenset(
    {apsw.SQLITE_ALTER_TABLE, apsw.SQLITE_CREATE_INDEX, apsw.SQLITE_CREATE_TRIGGER, apsw.SQLITE_DROP_INDEX}
)


class Following:
    """The writer's methods about the log.

    `follow` takes `path, tables, has_values`, `unfollow` `path, tables`, `keep_changes` `path, max_count, max_age_ms`;
    each returns `[epoch, seq]`, the end of the log.
    """

    def __init__(self, file_at: Callable[[str], WriterConnection]) -> None:
        self._file_at = file_at
        self.methods: dict[str, Callable[[Call], Any]] = {
            "follow": lambda call: self._in_transaction(call, follow),
            "unfollow": lambda call: self._in_transaction(call, unfollow),
            "keep_changes": lambda call: self._in_transaction(call, keep),
        }

    def _in_transaction(self, call: Call, act: Callable[..., None]) -> list[Any]:
        path, *more = call.params
        file = self._file_at(path)
        file.begin(deadline=call.deadline)
        try:
            act(file, *more)
            found = list(file.run_own(_CURSOR)[0])
            file.commit()
        finally:
            file.roll_back()
        return found


def follow(file: WriterConnection, tables: Iterable[str], has_values: bool) -> None:
    """Log what is changed in `tables` from now on; for one that is followed already, in this way.

    Raises:
        TableNotFollowed: There is no such table, or it is none that can be followed.
    """
    if not file.run_own(_HAS_LOG):
        for sql in LOG:
            file.run_own(sql)
        file.run_own(_MADE, (MAX_COUNT, MAX_AGE_MS))
    for asked in tables:
        table = _described(file, asked, has_values=has_values)
        was_followed = file.run_own(_FOLLOWED, (table.name,))
        _install(file, table)
        file.run_own(_FOLLOW, (table.name, has_values))
        if was_followed != [(int(has_values),)]:
            file.run_own(_NOTE, (table.name, "follow"))


def unfollow(file: WriterConnection, tables: Iterable[str]) -> None:
    """Log nothing of `tables` any more; what was logged stays until it is too old.

    Raises:
        TableNotFollowed: One is not followed.
    """
    if not file.run_own(_HAS_LOG):
        raise TableNotFollowed("no table of the database was ever followed")
    for asked in tables:
        found = file.run_own(_FACTS, (asked,))
        name = found[0][0] if found else asked
        if not file.run_own(_FOLLOWED, (name,)):
            raise TableNotFollowed(f"the table {asked!r} is not followed")
        _remove(file, name)
        file.run_own(_UNFOLLOW, (name,))
        file.run_own(_NOTE, (name, "unfollow"))


def keep(file: WriterConnection, max_count: int, max_age_ms: int) -> None:
    """Say how much of the log is kept.

    Raises:
        TableNotFollowed: There is no log yet.
    """
    if not file.run_own(_HAS_LOG):
        raise TableNotFollowed("no table of the database was ever followed")
    file.run_own(_KEEP, (max_count, max_age_ms))


def refit(file: WriterConnection, altered: Iterable[str]) -> None:
    """Make the triggers on those of the `altered` tables anew that are followed; in the transaction that altered them.

    Raises:
        NotAllowed: One can't be followed any more; the transaction is to be rolled back.
    """
    if not file.run_own(_HAS_LOG):
        return
    for name in altered:
        facts = file.run_own(_FACTS, (name,))
        for (has_values,) in file.run_own(_FOLLOWED, (facts[0][0] if facts else name,)):
            try:
                _install(file, _described(file, name, has_values=bool(has_values)))
            except TableNotFollowed as error:
                raise NotAllowed(f"{error}; stop following it first") from error


def begin_new_history(connection: apsw.Connection) -> None:
    """Give the log of a copy, if it has one, another epoch than that of the original."""
    if connection.execute(_HAS_LOG).get:
        connection.execute(_NEW_EPOCH)


def refusal_about_log(action: int, first: str | None, second: str | None, trigger: str | None) -> str | None:
    """Return why a caller may not do what the authorizer is asked about, None if the log does not mind."""
    if action in _CHANGES_ROWS:
        if is_of_log(first) and not is_of_log(trigger):
            return "the log of changes is written by its triggers alone"
    elif action in _CHANGES_SCHEMA and (is_of_log(first) or is_of_log(second)):
        if action == apsw.SQLITE_DROP_TRIGGER and not is_of_log(second):
            return f"the table {second!r} is followed; stop following it first"
        return f"names that begin with {PREFIX} belong to the log of changes"
    return None


def altered_table(action: int, second: str | None) -> str | None:
    """Return the table whose triggers may have to be made anew after what the authorizer is asked about."""
    return second if action in _ALTERS_A_TABLE else None


def is_of_log(name: str | None) -> bool:
    """Return whether a table or trigger belongs to the log."""
    return name is not None and name.lower().startswith(PREFIX)


def _install(file: WriterConnection, table: FollowedTable) -> None:
    _remove(file, table.name)
    for sql in triggers(table):
        file.run_own(sql)


def _remove(file: WriterConnection, table: str) -> None:
    for name in trigger_names(table):
        file.run_own(f"DROP TRIGGER IF EXISTS {quoted(name)}")


def _described(file: WriterConnection, asked: str, *, has_values: bool) -> FollowedTable:
    found = file.run_own(_FACTS, (asked,))
    if not found or is_of_log(found[0][0]) or found[0][0].startswith("sqlite_"):
        raise TableNotFollowed(f"there is no table {asked!r} that can be followed")
    name, without_rowid = found[0]
    columns = file.run_own(_COLUMNS, (name,))
    names = {column.lower() for column, _ in columns}
    if has_values and len(columns) > MAX_COLUMNS_COUNT:
        raise TableNotFollowed(
            f"the table {name!r} has more than {MAX_COLUMNS_COUNT} columns; follow it without values"
        )
    rowid = None if without_rowid else next((each for each in _ROWIDS if each not in names), None)
    key = tuple(column for column, place in sorted(columns, key=lambda each: each[1]) if place)
    if not key:
        if rowid is None:
            raise TableNotFollowed(f"the rows of {name!r} have no key")
        key = (rowid,)
    unique = tuple(_unique_indexes(file, name))
    if rowid is None and any(index.is_partial for index in unique):
        raise TableNotFollowed(f"the table {name!r} has a partial UNIQUE index and no rowid")
    return FollowedTable(
        name=name,
        columns=tuple(column for column, _ in columns),
        key=key,
        rowid=rowid,
        unique=unique,
        has_values=has_values,
    )


def _unique_indexes(file: WriterConnection, table: str) -> Iterable[UniqueIndex]:
    for index, is_partial in file.run_own(_UNIQUE, (table,)):
        columns = file.run_own(_INDEXED, (index,))
        if any(column is None for column, _ in columns):
            raise TableNotFollowed(f"the table {table!r} has a UNIQUE index of an expression")
        yield UniqueIndex(columns=tuple(columns), is_partial=bool(is_partial))

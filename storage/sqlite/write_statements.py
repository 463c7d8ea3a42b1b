"""Callers' statements on a writing connection: one at a time, with what they changed and returned.

What a statement changed is told as if it had come alone: a neighbour's rowid is never told, and no changes if it made
none. Texts that were once found to be one statement are known from then on, which saves the look at them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from storage.errors import NotAllowed, ParameterMismatch, ResultTooLarge, SqlError
from storage.sqlite.statements import changes_rows_only, is_blank
from storage.sqlite.write_rules import require_one_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from storage.sqlite.write_rules import WriteAuthorizer

_MAX_KNOWN_COUNT = 1_024
_MAX_KNOWN_CHARS = 16_384
_WRONG_PARAMETERS = (TypeError, ValueError, OverflowError, KeyError)


class WriteStatements:
    """Runs callers' statements on one connection, inside transactions that others begin and end.

    They are begun and ended with the same cursor, so that no statement is left half read.
    """

    def __init__(self, cursor: apsw.Cursor, authorizer: WriteAuthorizer, *, max_result_bytes: int) -> None:
        self._connection = connection = cursor.connection
        self._cursor = cursor
        self._authorizer = authorizer
        self._max_result_bytes = max_result_bytes
        self._columns: dict[str, tuple[str, ...]] = {}
        """Texts that were found to be one statement, which callers may run, with the columns that it returns."""
        self._returns_rows = False
        self._total_changes = connection.total_changes()
        self.running = ""
        """The text of the statement that runs, or ran last."""
        self.met_damage = False
        """A statement found the file damaged; what was misread would stay in the connection's cache."""

    def execute(self, sql: str, params: Any) -> list[Any]:
        """Run one statement and return `[changes, last_insert_rowid]`, and `columns, rows` if it is of that kind.

        Raises:
            apsw.Error, StorageError: It failed; `left_nothing` says whether the transaction is as it was.
        """
        connection = self._connection
        self.running = sql
        self._authorizer.refused = ""
        connection.set_last_insert_rowid(0)  # else a statement that inserts nothing would tell a neighbour's
        try:
            columns = self._columns.get(sql)
            if columns is None:
                columns = self._execute_unknown(sql, params)
            else:
                self._returns_rows = bool(columns)
                self._cursor.execute(sql, params)
        except _WRONG_PARAMETERS as error:
            raise ParameterMismatch(_complaint(error)) from error
        except (apsw.AuthError, apsw.SQLError) as error:  # which of them depends on what SQLite asked about
            if not self._authorizer.refused:
                raise
            raise NotAllowed(self._authorizer.refused) from error
        except apsw.CorruptError:
            self.met_damage = True
            raise
        if columns:
            columns = self._columns_now(columns)
        rows = self._rows() if columns else None
        total = connection.total_changes()
        changes = 0 if total == self._total_changes else connection.changes()
        self._total_changes = total
        if rows is None:
            return [changes, connection.last_insert_rowid()]
        return [changes, connection.last_insert_rowid(), list(columns), rows]

    def execute_each(self, sql: str, rows: Iterator[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`, which returns nothing; `execute` has run the same text before.

        Raises:
            apsw.Error, StorageError: The statement for the row that `rows` gave last failed; those before it stay.
        """
        self.running = sql
        self._returns_rows = False
        try:
            self._cursor.executemany(sql, rows)
        except _WRONG_PARAMETERS as error:
            raise ParameterMismatch(_complaint(error)) from error
        finally:
            self._total_changes = self._connection.total_changes()

    def left_nothing(self) -> bool:
        """Return whether the statement that has just failed left the transaction as it was before.

        `OR FAIL` keeps the rows it got to, and counts them; a statement stopped between the rows that it returns
        keeps all of its changes.
        """
        connection = self._connection
        return (
            connection.in_transaction
            and not self._returns_rows
            and connection.total_changes() == self._total_changes
        )

    def forget_changes(self) -> None:
        """Count changes from now on; what was counted is undone."""
        self._total_changes = self._connection.total_changes()

    def execute_script(self, sql: str, on_statement: Callable[[str], None]) -> None:
        """Run all statements of `sql`, telling each to `on_statement` before.

        One that SQLite does not understand is told with all that follows it.

        Raises:
            apsw.Error, NotAllowed: One failed, or does what callers may not do; the transaction is to be rolled back.
        """
        self._columns.clear()
        rest = sql
        try:
            while not is_blank(rest):
                on_statement(rest)
                statement = self._first_statement(rest)
                on_statement(statement)
                self._cursor.execute(statement, can_cache=False).fetchall()
                rest = rest[len(statement) :]
        except apsw.AuthError as error:
            raise NotAllowed(self._authorizer.refused) from error

    def _execute_unknown(self, sql: str, params: Any) -> tuple[str, ...]:
        """Run `sql` after a look at what SQLite made of it, and return the columns that it gives."""
        found: list[tuple[str, ...]] = []

        def look(cursor: apsw.Cursor, statement: str, _params: Any) -> bool:
            require_one_statement(sql, statement, is_empty=not cursor.has_vdbe)
            found.append(tuple(column[0] for column in cursor.get_description()))
            self._returns_rows = bool(found[0])
            return True

        self._returns_rows = self._authorizer.is_altering = False
        self._cursor.exec_trace = look
        try:
            self._execute_uncached(sql, params)
        except apsw.SQLError:
            if found or self._authorizer.refused:
                raise
            self._read_schema()  # another writer may have changed it, and not all is looked up anew: that an index is
            self._cursor.exec_trace = look  # there already, SQLite says by what it read last
            self._execute_uncached(sql, params)
        finally:
            self._cursor.exec_trace = None
            if not changes_rows_only(sql) or len(self._columns) >= _MAX_KNOWN_COUNT:
                self._columns.clear()  # after a change of the schema they may be others
            elif found and len(sql) <= _MAX_KNOWN_CHARS:
                self._columns[sql] = found[0]
        return found[0]

    def _execute_uncached(self, sql: str, params: Any) -> None:
        self._cursor.execute(sql, params, can_cache=False)  # one from the cache may have columns of before

    def _read_schema(self) -> None:
        """Have SQLite read a schema that has changed, which it does for what it runs."""
        self._cursor.exec_trace = None
        self._authorizer.is_ours = True
        try:
            self._cursor.execute("SELECT count(*) FROM sqlite_schema", can_cache=False).fetchall()
        finally:
            self._authorizer.is_ours = False

    def _first_statement(self, sql: str) -> str:
        """Return the text of the first statement of `sql`, which is prepared but not run."""
        found = [sql]

        def stop(_cursor: apsw.Cursor, statement: str, _params: Any) -> bool:
            found[0] = statement
            return False

        self._cursor.exec_trace = stop
        try:
            self._cursor.execute(sql, can_cache=False)
        except apsw.ExecTraceAbort:
            return found[0]
        finally:
            self._cursor.exec_trace = None
        return found[0]

    def _columns_now(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of the statement that runs, which another process may have changed since it was looked at."""
        try:  # not `get_description`, which may still tell what it told to that look
            return tuple(column[0] for column in self._cursor.description)
        except apsw.ExecutionCompleteError:  # there is no row whose values could be taken for others
            return known

    def _rows(self) -> list[tuple[Any, ...]]:
        rows = []
        size_bytes, limit_bytes = 0, self._max_result_bytes
        try:
            for row in self._cursor:
                size_bytes += sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in row)
                if size_bytes > limit_bytes:
                    raise ResultTooLarge(
                        f"the returned rows pass {limit_bytes} bytes", limit_bytes=limit_bytes
                    )
                rows.append(row)
        except UnicodeDecodeError as error:
            raise SqlError("a returned text is not UTF-8; return it as a BLOB") from error
        return rows


def _complaint(error: Exception) -> str:
    return f"no value for the parameter {error}" if isinstance(error, KeyError) else str(error)

"""The connection that writes one database file: transactions of ours, statements of callers inside them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import apsw

from storage.errors import (
    NotAllowed,
    ParameterMismatch,
    ResultTooLarge,
    SqlError,
    WriteOutcomeUnknown,
    WriteTimedOut,
)
from storage.sqlite.connection import open_writer
from storage.sqlite.errors import translation
from storage.sqlite.statements import changes_rows_only
from storage.sqlite.write_rules import Watch, WriteAuthorizer, require_one_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.sqlite.checkpoints import Governor
    from storage.sqlite.connection import ConnectionSettings

COMPANY_STEPS = 500_000
"""Steps of SQLite's machine that a request may take in company; 5 to 20 ms."""
_PROGRESS_STEPS = 250_000
_MAX_KNOWN_COUNT = 1_024
_MAX_KNOWN_CHARS = 16_384

_WROTE_NOTHING = (apsw.AbortError, apsw.BusyError, apsw.ConstraintError, apsw.FullError, apsw.InterruptError)
"""Failures of a COMMIT after which its transaction is certainly not on the disk."""
_WRONG_PARAMETERS = (TypeError, ValueError, OverflowError, KeyError)


class WriterConnection:
    """An open database file; after a COMMIT that the disk broke off, the next transaction opens it anew.

    Raises:
        apsw.Error: The file can't be opened, or is no database.
    """

    def __init__(
        self, path: str, settings: ConnectionSettings, *, governor: Governor, max_result_bytes: int
    ) -> None:
        self._path = path
        self._settings = replace(settings, progress_steps=min(settings.progress_steps, _PROGRESS_STEPS))
        self._max_result_bytes = max_result_bytes
        self._columns: dict[str, tuple[str, ...]] = {}
        """Texts that were found to be one statement, which callers may run, with the columns that it returns."""
        self._authorizer = WriteAuthorizer()
        self.governor = governor
        self.watch = Watch(COMPANY_STEPS // self._settings.progress_steps)
        self.running = ""
        """The text of the statement that runs, or ran last."""
        self._returns_rows = False
        self._open()

    def begin(self, *, deadline: float | None = None) -> None:
        """Begin a transaction: of one request if `deadline` (monotonic; 0.0 for none) is given, else of several.

        Raises:
            apsw.Error: No lock in time, or the file can't be opened again; there is no transaction.
        """
        if self._is_spoilt:
            self._open()
        self.watch.begin(deadline)
        self.run_own("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the open transaction durable.

        Raises:
            apsw.Error: It was rolled back and is certainly not on the disk.
            WriteOutcomeUnknown: The disk failed in the middle; after a crash it may be there or not.
        """
        try:
            self.run_own("COMMIT")
        except _WROTE_NOTHING:
            self.roll_back()
            raise
        except apsw.Error as error:
            self._spoil()
            raise WriteOutcomeUnknown("the disk failed during the commit; look the write up") from error
        self.watch.is_alone = False

    def roll_back(self) -> None:
        """Leave no transaction open; calling again does nothing."""
        self.watch.is_alone = False
        if self._is_spoilt:
            return
        if self.connection.in_transaction:
            try:
                self.run_own("ROLLBACK")
            except apsw.Error:
                self._spoil()  # closing rolls back what nothing else can
                return
        self._total = self.connection.total_changes()

    def execute(self, sql: str, params: Any) -> list[Any]:
        """Run a caller's statement and return `[changes, last_insert_rowid]`, and `columns, rows` if it has any.

        Raises:
            apsw.Error, StorageError: It failed; `left_nothing` and `undo_to_savepoint` say what it left behind.
        """
        connection = self.connection
        self.running = sql
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
        except apsw.AuthError as error:
            raise NotAllowed(self._authorizer.refused) from error
        rows = self._rows() if columns else None
        total = connection.total_changes()
        changes = 0 if total == self._total else connection.changes()
        self._total = total
        if rows is None:
            return [changes, connection.last_insert_rowid()]
        return [changes, connection.last_insert_rowid(), list(columns), rows]

    def left_nothing(self) -> bool:
        """Return whether the statement that has just failed left the transaction as it was before.

        `OR FAIL` keeps the rows it got to, and counts them; a statement stopped between the rows that it returns
        keeps all of its changes.
        """
        connection = self.connection
        return (
            connection.in_transaction and not self._returns_rows and connection.total_changes() == self._total
        )

    def set_savepoint(self) -> None:
        """Begin a request of several statements inside the transaction."""
        self.run_own("SAVEPOINT request")

    def release_savepoint(self) -> None:
        """End a request of several statements."""
        self.run_own("RELEASE request")

    def undo_to_savepoint(self) -> bool:
        """Undo the request of several statements, and return whether the transaction is as it was before it."""
        if not self.connection.in_transaction:
            return False
        try:
            self.run_own("ROLLBACK TO request")
            self.run_own("RELEASE request")
        except apsw.Error:
            return False
        self._total = self.connection.total_changes()
        return True

    def has_dangling_keys(self) -> bool:
        """Return whether COMMIT would fail on a deferred foreign key."""
        return bool(self.connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0])

    def run_own(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement of our own, which the rules for callers don't bind, and return its rows."""
        self._authorizer.is_ours = True
        try:
            return self._cursor.execute(sql, params, can_cache=False).fetchall()
        finally:
            self._authorizer.is_ours = False

    def run_script(self, sql: str, on_statement: Callable[[str], None]) -> None:
        """Run all statements of `sql` under the rules for callers; `on_statement` is told each before it runs.

        Raises:
            apsw.Error: One failed; the transaction is to be rolled back.
            NotAllowed: One does what callers may not do; likewise.
        """

        def tell(_cursor: apsw.Cursor, statement: str, _params: Any) -> bool:
            on_statement(statement)
            return True

        self._columns.clear()
        self._cursor.exec_trace = tell
        try:
            self._cursor.execute(sql, can_cache=False).fetchall()
        except apsw.AuthError as error:
            raise NotAllowed(self._authorizer.refused) from error
        finally:
            self._cursor.exec_trace = None

    def tend(self) -> None:
        """Do the checkpoint that is due, if any; between transactions."""
        if not self._is_spoilt:
            self.governor.tend(self.connection)

    def checkpoint(self) -> bool:
        """Empty the write-ahead log if readers allow it within a limit; return whether it is empty."""
        return not self._is_spoilt and self.governor.empty(self.connection)

    def interrupt(self) -> None:
        """Stop the request that runs, if it runs alone; any thread may call this."""
        if self.watch.is_alone:
            self.watch.stop()
            try:
                self.connection.interrupt()
            except apsw.ConnectionClosedError:
                return  # it failed meanwhile, which ends it too

    def close(self) -> None:
        """Checkpoint what readers allow, and close; if nobody else has the file open its WAL goes too."""
        if not self._is_spoilt:
            self.roll_back()
        if not self._is_spoilt:
            self.governor.empty(self.connection)
            self.connection.close()

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
            self._cursor.execute(
                sql, params, can_cache=False
            )  # one from the cache may have columns of before
        finally:
            self._cursor.exec_trace = None
            if not changes_rows_only(sql) or len(self._columns) >= _MAX_KNOWN_COUNT:
                self._columns.clear()  # after a change of the schema they may be others
            elif found and len(sql) <= _MAX_KNOWN_CHARS:
                self._columns[sql] = found[0]
        return found[0]

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

    def _open(self) -> None:
        connection = open_writer(self._path, self._settings, self.watch, create=False)
        connection.authorizer = self._authorizer
        self.governor.watch(connection)
        self.connection = connection
        self._cursor = connection.cursor()
        self._columns.clear()
        self._is_spoilt = False
        self._total = 0

    def _spoil(self) -> None:
        self.watch.is_alone = False
        self._is_spoilt = True
        with suppress(
            apsw.Error
        ):  # forced, it is closed whatever else goes wrong; the caller is told the first error
            self.connection.close(True)


def write_failure(error: Exception) -> Exception:
    """Return what the caller of a write that failed with `error` is told; a bug of ours stays what it is."""
    if isinstance(error, (apsw.InterruptError, apsw.AbortError)):
        told: Exception | None = WriteTimedOut("the write was stopped and nothing was written")
    else:
        told = translation(error) if isinstance(error, apsw.Error) else None
    if told is None:
        return error
    told.__cause__ = error
    return told


def _complaint(error: Exception) -> str:
    return f"no value for the parameter {error}" if isinstance(error, KeyError) else str(error)

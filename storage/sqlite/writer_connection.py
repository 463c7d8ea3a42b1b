"""The connection that writes one database file, and its transactions.

Statements of our own never enter the statement cache: a caller's COMMIT would find ours there, prepared, and SQLite
would not ask the authorizer about it.

A COMMIT can fail in two ways. A constraint, a full disk, a lock or an interrupt: nothing was written. The disk itself,
above all a failed sync: what was written may come back when the log is read again (tried: it does), so the outcome is
unknown, the connection is closed, and the next transaction opens another.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import apsw

from storage.errors import WriteOutcomeUnknown, WriteTimedOut
from storage.sqlite import changes
from storage.sqlite.connection import open_writer
from storage.sqlite.errors import translation
from storage.sqlite.write_rules import Watch, WriteAuthorizer
from storage.sqlite.write_statements import WriteStatements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.sqlite.checkpoints import Governor
    from storage.sqlite.connection import ConnectionSettings

COMPANY_STEPS = 200_000
"""Steps of SQLite's machine that a request may take in company; 5 to 30 ms (2026-11-23, 2 cores)."""
_PROGRESS_STEPS = 100_000
WIDE_CACHE_BYTES = 32 * 1024 * 1024
"""For a transaction of very many rows, whose indexes it visits all over: 200,000 rows with one index took 0.40 to 0.45 s of
CPU time with 32 or 64 MiB, 0.51 with 8 and 0.56 with 2 (2026-11-23, 2 cores with a load of 4)."""

_WROTE_NOTHING = (apsw.AbortError, apsw.BusyError, apsw.ConstraintError, apsw.FullError, apsw.InterruptError)
"""Failures of a COMMIT after which its transaction is certainly not on the disk."""


class WriterConnection:
    """An open database file, with `statements` of callers inside transactions of ours.

    Raises:
        apsw.Error: The file can't be opened, or is no database.
    """

    def __init__(
        self, path: str, settings: ConnectionSettings, *, governor: Governor, max_result_bytes: int
    ) -> None:
        self._path = path
        self._settings = replace(settings, progress_steps=min(settings.progress_steps, _PROGRESS_STEPS))
        self._max_result_bytes = max_result_bytes
        self._authorizer = WriteAuthorizer()
        self._is_wide = False
        self.governor = governor
        self.watch = Watch(COMPANY_STEPS // self._settings.progress_steps)
        self._open()

    @property
    def is_spoilt(self) -> bool:
        """The connection was given up; `ensure_open` opens another."""
        return self._is_spoilt

    def ensure_open(self) -> None:
        """Open the file again if its connection was given up; between transactions.

        Raises:
            apsw.Error: It can't be opened.
        """
        if self._is_spoilt:
            self._open()

    def begin(self, *, deadline: float | None = None) -> None:
        """Begin a transaction: of one request if `deadline` (monotonic; 0.0 for none) is given, else of several.

        Raises:
            apsw.Error: No lock in time, or the file can't be opened again; there is no transaction.
        """
        self.ensure_open()
        self.watch.begin(deadline)
        self._authorizer.altered.clear()
        self.run_own("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the open transaction durable.

        Raises:
            apsw.Error: It was rolled back and is certainly not on the disk.
            NotAllowed: Likewise: it altered a table so that its changes could not be followed any more.
            WriteOutcomeUnknown: The disk failed in the middle.
        """
        try:
            if self._authorizer.altered:
                changes.refit(self, self._authorizer.altered)
        except BaseException:
            self.roll_back()
            raise
        try:
            self.run_own("COMMIT")
        except _WROTE_NOTHING:
            self.roll_back()
            raise
        except apsw.Error as error:
            self._spoil()
            raise WriteOutcomeUnknown("the disk failed during the commit; look the write up") from error
        self.watch.is_alone = False
        self._narrow_cache()

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
        if self.statements.met_damage:
            self._spoil()  # the next transaction reads anew
            return
        self._narrow_cache()
        self.statements.forget_changes()

    def set_savepoint(self, name: str) -> None:
        """Mark the place in the open transaction that can be gone back to."""
        self.run_own(f"SAVEPOINT {name}")

    def release_savepoint(self, name: str) -> None:
        """Forget a place; what was done since stays a part of the transaction."""
        self.run_own(f"RELEASE {name}")

    def undo_to_savepoint(self, name: str) -> bool:
        """Undo what was done since, forget the place, and return whether the transaction is as it was there.

        If not, it is of no more use.
        """
        if not self.connection.in_transaction:
            return False
        try:
            self.run_own(f"ROLLBACK TO {name}")
            self.run_own(f"RELEASE {name}")
        except apsw.Error:
            return False
        self.statements.forget_changes()
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

    def widen_cache(self) -> None:
        """Keep `WIDE_CACHE_BYTES` of pages in memory until this transaction ends."""
        if not self._is_wide:
            self._is_wide = True
            self._set_cache(max(self._settings.cache_bytes, WIDE_CACHE_BYTES))

    def tend(self) -> None:
        """Do the checkpoint that is due, if any; between transactions."""
        if not self._is_spoilt:
            self.governor.tend(self.connection)

    def checkpoint(self) -> bool:
        """Empty the write-ahead log if readers allow it within a limit; return whether it is empty.

        Raises:
            apsw.Error: The file can't be opened again.
        """
        self.ensure_open()
        return self.governor.empty(self.connection)

    def interrupt(self) -> None:
        """Stop the request that runs, if it runs alone; any thread may call this."""
        if self.watch.is_alone:
            self.watch.stop()
            with suppress(apsw.ConnectionClosedError):  # it failed meanwhile, which ended it too
                self.connection.interrupt()

    def close(self) -> None:
        """Checkpoint what readers allow, and close; if nobody else has the file open its WAL goes too."""
        self.roll_back()
        if not self._is_spoilt:
            self.governor.empty(self.connection)
            self.connection.close()

    def _open(self) -> None:
        connection = open_writer(self._path, self._settings, self.watch, create=False)
        self.governor.watch(connection)
        connection.authorizer = self._authorizer
        self.connection = connection
        self._cursor = connection.cursor()
        self.statements = WriteStatements(
            self._cursor, self._authorizer, max_result_bytes=self._max_result_bytes
        )
        self._is_spoilt = self._is_wide = False

    def _set_cache(self, size_bytes: int) -> None:
        self.run_own(f"PRAGMA cache_size = -{size_bytes // 1024}")

    def _narrow_cache(self) -> None:
        if self._is_wide:
            self._is_wide = False
            self._set_cache(self._settings.cache_bytes)

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

"""One database for async code: reads by the pool of readers, writes by the one writer of the file.

Nothing here runs SQL: calls go to workers, and what comes back is bytes. Cancelled, a read is interrupted in its
worker; a write is taken back if it has not begun, and otherwise goes on unheard.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread
from typing_extensions import override

from storage.backups import back_up, verify
from storage.change_log import ChangeLog
from storage.errors import DatabaseNotFound, QueryTimedOut
from storage.following import Following
from storage.function_names import name_of
from storage.json_streams import json_pieces
from storage.migrations import load
from storage.parameters import bound, bound_in_batch
from storage.pool_errors import UNENCODABLE, failed_read, failed_write, refused_parameters
from storage.snapshots import Snapshot
from storage.tables import TableInfo, table_info
from storage.transactions import Transaction, WriteGate, opened
from storage.written import Written, written
from workers import TaskTimedOut, WorkersError

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Iterable,
        Mapping,
        Sequence,
    )
    from pathlib import Path

    from storage.backups import OnProgress
    from storage.means import Means
    from storage.sqlite.backups import BackupMade, Verified

    Params = Sequence[Any] | Mapping[str, Any]


class Database(Following):
    """One database; made by `storage.open` or `Databases`, usable until these close."""

    def __init__(
        self,
        path: str,
        means: Means,
        *,
        name: str = "",
        generation: int = 0,
    ) -> None:
        super().__init__(max_result_bytes=means.settings.max_result_bytes)
        self.name = name
        self._path = path
        self._means = means
        self._readers = means.readers
        self._writers = means.writers
        self._logs = means.logs
        self._settings = means.settings
        self._generation = generation
        self._gate = WriteGate(max_waiting_count=means.settings.max_queue_size)
        self._change_log = ChangeLog(self)
        self.is_dropped = False
        """Its file is gone or about to be, and every call fails."""

    @property
    @override
    def change_log(self) -> ChangeLog:
        return self._change_log

    async def stream_json(
        self,
        sql: str,
        params: Params = (),
        *,
        format: Literal["json", "ndjson", "csv"] = "json",  # noqa: A002 - what everybody calls it
        timeout_s: float | None = None,
    ) -> AsyncGenerator[bytes]:
        """Yield the rows of `sql`, in pieces of whole rows of some 128 KiB, as of one moment.

        The next piece is made when it is asked for, so memory is bounded however large the answer is. Close the
        generator (`contextlib.aclosing`) to stop before the end. `timeout_s` is for each piece. A stream that nobody
        asks for is closed after `stream_idle_s`, and any after `reader_age_s`: it holds back the write-ahead log.

        Raises:
            StorageError: As `query`; QueryTimedOut too when the stream was left waiting, ReadTooOld when it was ended.
        """
        if self.is_dropped:
            raise self._gone()
        limit_s = self._settings.query_timeout_s if timeout_s is None else timeout_s
        opening = [self._generation, sql, bound(params), format]
        async with aclosing(json_pieces(self._means, self._path, opening, limit_s)) as pieces:
            async for piece in pieces:
                yield piece

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Read one state of the database while this is entered, whatever is written meanwhile.

        It is closed when nobody asks it for `stream_idle_s`, after `reader_age_s`, and before that if the write-ahead
        log, which can't be cut behind it, grows too long (`max_wal_bytes`).

        Raises:
            ReadTooOld: It was ended; a read of it says so.
            StorageSaturated: A worker holds as many snapshots and streams as it may (`max_open_streams`).
            StorageError: As `query`.
        """
        snapshot = await self.open_snapshot()
        try:
            yield snapshot
        finally:
            await snapshot.close()

    async def open_snapshot(self) -> Snapshot:
        """Return a snapshot that the caller closes, possibly in another task; see `snapshot`.

        Raises:
            StorageError: As `snapshot`.
        """
        if self.is_dropped:
            raise self._gone()
        return await Snapshot.opened(self._means, self._path, self._generation)

    async def execute(self, sql: str, params: Params = (), *, timeout_s: float | None = None) -> Written:
        """Run one statement that writes; it is on disk when this returns.

        Cancelled, it is either written whole or not at all.

        Raises:
            StorageError: ConstraintViolated, SqlError, NotAllowed, ParameterMismatch: mend the call.
                StorageSaturated, StorageBusy, StorageUnavailable, WriteTimedOut: nothing was written, call again.
                WriteOutcomeUnknown: look it up.
        """
        return written(*await self._write("execute", [sql, bound(params)], timeout_s))

    async def execute_batch(
        self, statements: Iterable[tuple[str, Params]], *, timeout_s: float | None = None
    ) -> list[Written]:
        """Run statements in order, all or none of them; they are on disk when this returns.

        A parameter may be `Earlier(n)`: the rowid that statement `n` of them inserted, or a value that it returned.

        Raises:
            StorageError: As `execute`; nothing of the batch was kept.
        """
        pairs = [[sql, bound_in_batch(params, place)] for place, (sql, params) in enumerate(statements)]
        results = await self._write("execute_batch", [pairs], timeout_s)
        return [written(*each) for each in results]

    async def write(self, function: Callable[..., Any], *args: Any, timeout_s: float | None = None) -> Any:
        """Have the writer run `function(transaction, *args)`; what it did is on disk when this returns its result.

        The function stands at the top of an importable module, gets a `WriteTransaction`, and shares its commit with
        the writes of others: all of it is kept, or nothing if it raises. It may run more than once before it counts,
        so it does nothing but what its transaction does. Arguments and result are what MessagePack carries.

        Raises:
            ValueError: A worker can't find the function by its name.
            PortableError: What the function raised, if it is of that kind; nothing was written.
            StorageError: As `execute`; as itself when the function raised another error, which is in the log.
        """
        sent = [name_of(function), list(args)]
        return await self._write("function", sent, timeout_s)

    @asynccontextmanager
    async def transaction(self, *, timeout_s: float | None = None) -> AsyncIterator[Transaction]:
        """Hold a transaction open while this is entered; it is committed on leaving, and rolled back by an exception.

        Others who write this database wait meanwhile, for `transaction_lease_s` at most: then the first of them ends
        it. `Database.write` and `execute_batch` do without all that. `timeout_s` is for the wait until it begins, and
        for each call; what was committed is on disk when this is left.

        Raises:
            TransactionLost: It was ended before it was committed; begin it again.
            StorageError: As `execute`; nothing was written, but for `WriteOutcomeUnknown`.
        """
        if self.is_dropped:
            raise self._gone()
        limit_s = self._settings.write_timeout_s if timeout_s is None else timeout_s
        try:
            async with opened(
                self._writers,
                self._gate,
                self._path,
                lease_s=self._settings.transaction_lease_s,
                timeout_s=limit_s,
            ) as transaction:
                yield transaction
        except WorkersError as error:
            raise failed_write(error) from error
        finally:
            self._change_log.stir()

    async def back_up(self, target: Path, on_progress: OnProgress | None = None) -> BackupMade:
        """Copy the database as it is now to the new file `target`; writes go on meanwhile. See `storage.back_up`.

        Raises:
            DatabaseExists: There is a file `target`.
            DatabaseCorrupt: The database is damaged.
            StorageFull: No space for the copy.
        """
        if self.is_dropped:
            raise self._gone()
        return await back_up(self._path, target, self._settings, on_progress)

    async def verify(self, on_progress: OnProgress | None = None) -> Verified:
        """Check all of the database, as it is now. See `storage.verify`.

        Raises:
            DatabaseNotFound: Its file was removed by hand.
        """
        if self.is_dropped:
            raise self._gone()
        return await verify(self._path, self._settings, on_progress)

    async def tables(self) -> list[TableInfo]:
        """Return the tables and views by name, without SQLite's own.

        Raises:
            StorageError: As `query`.
        """
        found = await self._read("tables", [], None, None)
        return [table_info(each) for each in found]

    async def migrate(self, package: str) -> int:
        """Apply the migrations of `package` (numbered .sql files) that are missing; return how many they were.

        Raises:
            MigrationFailed: One broke; the ones before it stay.
            StorageError: As `execute`.
        """
        found = await anyio.to_thread.run_sync(load, package)
        sent = [[migration.as_params() for migration in found]]
        applied: int = await self._write("migrate", sent, None)
        return applied

    @override
    async def _read(self, method: str, sent: list[Any], sql: str | None, timeout_s: float | None) -> Any:
        if self.is_dropped:
            raise self._gone()
        settings = self._settings
        limit_s = min(settings.query_timeout_s if timeout_s is None else timeout_s, settings.reader_age_s)
        try:
            return await self._readers.call(
                method,
                [self._path, self._generation, *sent],
                fingerprint=(self._path, sql),
                timeout_s=limit_s,
                idempotent=True,
                tenant=self._path,
            )
        except (TaskTimedOut, QueryTimedOut) as error:
            self._logs.require_within_age(error, limit_s)
            raise QueryTimedOut("the read passed its deadline") from error
        except WorkersError as error:
            raise failed_read(error) from error
        except UNENCODABLE as error:
            raise refused_parameters(error) from error

    @override
    async def _write(self, method: str, sent: list[Any], timeout_s: float | None) -> Any:
        if self.is_dropped:
            raise self._gone()
        limit_s = self._settings.write_timeout_s if timeout_s is None else timeout_s
        gate = self._gate
        if not gate.is_open:
            limit_s = await gate.passed(limit_s)
        gate.entered()
        try:
            return await self._writers.call(
                method, [self._path, *sent], key=self._path, timeout_s=limit_s, idempotent=False
            )
        except WorkersError as error:
            raise failed_write(error) from error
        except UNENCODABLE as error:
            raise refused_parameters(error) from error
        finally:
            gate.left()
            self._logs.written(self._path)
            self._change_log.stir()

    def _gone(self) -> DatabaseNotFound:
        return DatabaseNotFound(f"the database {self.name!r} was dropped")

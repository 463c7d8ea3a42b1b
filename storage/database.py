"""One database for async code: reads by the pool of readers, writes by the one writer of the file.

Nothing here runs SQL: calls go to workers, and what comes back is bytes. Cancelled, a read is interrupted in its
worker; a write is taken back if it has not begun, and otherwise goes on unheard.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import anyio
import anyio.to_thread
from typing_extensions import override

from storage.backups import back_up, verify
from storage.change_log import ChangeLog
from storage.changes import ChangeFeed, Cursor
from storage.errors import DatabaseNotFound
from storage.function_names import name_of
from storage.live_queries import LiveAnswer, LiveAnswers, LiveQuery
from storage.migrations import load
from storage.parameters import bound, bound_in_batch
from storage.pool_errors import UNENCODABLE, failed_read, failed_write, refused_parameters
from storage.queries import Queries
from storage.snapshots import Snapshot
from storage.tables import TableInfo, table_info
from storage.transactions import Transaction, WriteGate, opened
from storage.written import Written, written
from workers import WorkersError

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Collection,
        Iterable,
        Mapping,
        Sequence,
    )
    from pathlib import Path

    from storage.backups import OnProgress
    from storage.settings import StorageSettings
    from storage.sqlite.backups import BackupMade, Verified
    from workers import Pool, Session

    Params = Sequence[Any] | Mapping[str, Any]

T = TypeVar("T")

_CLOSE_STREAM_S = 5.0
_STORED_TABLES = "SELECT lower(name) FROM sqlite_schema WHERE type = 'table'"

_stream_numbers = count(1)
"""Given here and not by the worker, so that a stream can be closed whose opening was not waited for."""


class Database(Queries):
    """One database; made by `storage.open` or `Databases`, usable until these close."""

    def __init__(
        self,
        path: str,
        readers: Pool,
        writers: Pool,
        settings: StorageSettings,
        *,
        name: str = "",
        generation: int = 0,
    ) -> None:
        super().__init__(max_result_bytes=settings.max_result_bytes)
        self.name = name
        self._path = path
        self._readers = readers
        self._writers = writers
        self._settings = settings
        self._generation = generation
        self._gate = WriteGate(max_waiting_count=settings.max_queue_size)
        self.change_log = ChangeLog(self)
        self._live = LiveAnswers()
        self.is_dropped = False
        """Its file is gone or about to be, and every call fails."""

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
        asks for is closed after `stream_idle_s`, and any after `stream_age_s`: it holds back the write-ahead log.

        Raises:
            StorageError: As `query`; QueryTimedOut too when the stream was left waiting.
        """
        if self.is_dropped:
            raise self._gone()
        limit_s = self._settings.query_timeout_s if timeout_s is None else timeout_s
        number = next(_stream_numbers)
        opening = [number, self._path, self._generation, sql, bound(params), format]
        try:
            async with self._readers.session(lane="scan") as session:
                is_last = False
                try:
                    await _opened_stream(session, opening, limit_s)
                    while not is_last:
                        is_last, piece = await session.call("stream_next", [number], timeout_s=limit_s)
                        if piece:
                            yield piece
                finally:
                    if not is_last:
                        await _close_stream(session, number)
        except WorkersError as error:
            raise failed_read(error) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Read one state of the database while this is entered, whatever is written meanwhile.

        It is closed when nobody asks it for `stream_idle_s`, and after `stream_age_s`: it holds back the write-ahead log.

        Raises:
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
        return await Snapshot.opened(
            self._readers,
            [self._path, self._generation],
            timeout_s=self._settings.query_timeout_s,
            max_result_bytes=self._max_result_bytes,
        )

    async def execute(self, sql: str, params: Params = (), *, timeout_s: float | None = None) -> Written:
        """Run one statement that writes; it is on disk when this returns.

        Cancelled, it is either written whole or not at all.

        Raises:
            StorageError: ConstraintViolated, SqlError, NotAllowed, ParameterMismatch: mend the call.
                StorageSaturated, StorageBusy, StorageUnavailable, WriteTimedOut: nothing was written, call again.
                WriteOutcomeUnknown: look it up.
        """
        return written(*await self._write("execute", [self._path, sql, bound(params)], timeout_s))

    async def execute_batch(
        self, statements: Iterable[tuple[str, Params]], *, timeout_s: float | None = None
    ) -> list[Written]:
        """Run statements in order, all or none of them; they are on disk when this returns.

        A parameter may be `Earlier(n)`: the rowid that statement `n` of them inserted, or a value that it returned.

        Raises:
            StorageError: As `execute`; nothing of the batch was kept.
        """
        pairs = [[sql, bound_in_batch(params, place)] for place, (sql, params) in enumerate(statements)]
        results = await self._write("execute_batch", [self._path, pairs], timeout_s)
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
        sent = [self._path, name_of(function), list(args)]
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
            self.change_log.stir()

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

    async def follow_tables(self, tables: Collection[str], *, values: bool = False) -> Cursor:
        """Log each change of a row in `tables` from now on, whoever makes it; return where the log stands then.

        A change has the row's key; with `values` the row before and after it too, which costs as much disk again. A
        table that is followed may be altered, but neither dropped nor renamed. The log is a part of the database.

        Raises:
            TableNotFollowed: There is no such table, or it can't be followed; the text says why.
            StorageError: As `execute`.
        """
        return Cursor(*await self._write("follow", [self._path, list(tables), values], None))

    async def unfollow_tables(self, tables: Collection[str]) -> Cursor:
        """Log no more changes in `tables`; what was logged is kept as long as ever.

        Raises:
            TableNotFollowed: One of them is not followed.
            StorageError: As `execute`.
        """
        return Cursor(*await self._write("unfollow", [self._path, list(tables)], None))

    async def keep_changes(self, *, max_count: int, max_age_s: float) -> None:
        """Keep about so many changes, and for so long; older ones go as new ones come. At first: 100,000, and 7 days.

        Raises:
            TableNotFollowed: No table was ever followed.
            StorageError: As `execute`.
        """
        await self._write("keep_changes", [self._path, max_count, int(max_age_s * 1000)], None)

    def changes(self, tables: Collection[str] | None = None, since: Cursor | None = None) -> ChangeFeed:
        """Return an iterator over the changes after `since`, or else from its `begin` on, as they are committed.

        It ends with an error only, or when nobody asks any more; no task and no connection stands behind it. To have all of
        a table: `change_cursor(snapshot)`, read the snapshot, then follow from that cursor.

        Raises:
            TableNotFollowed, HistoryLost, StorageError: When it is asked; see `ChangeFeed.page`.
        """
        return ChangeFeed(self.change_log, tables, since)

    def live_query(self, sql: str, params: Params = ()) -> LiveQuery[list[tuple[Any, ...]]]:
        """Return an iterator over the rows of `sql`: as they are now, and again whenever they are others.

        All tables that it reads have to be followed. It runs once for all who ask the same.

        Raises:
            ParameterMismatch: A parameter is nothing that SQLite stores.
            TableNotFollowed, StorageError: When it is asked; see `LiveQuery.next_answer`.
        """
        return self._live_answers(sql, params, "rows", lambda: self.query(sql, params))

    def live_json(
        self, sql: str, params: Params = (), *, shape: Literal["objects", "arrays"] = "objects"
    ) -> LiveQuery[bytes]:
        """Return an iterator as `live_query`, over what `query_body` gives with its columns.

        Raises:
            ParameterMismatch, TableNotFollowed, StorageError: As `live_query`.
        """

        async def read() -> bytes:
            with await self.query_body(sql, params, shape=shape, envelope=True) as body:
                return await body.read()

        return self._live_answers(sql, params, shape, read)

    def _live_answers(
        self, sql: str, params: Params, form: str, read: Callable[[], Awaitable[T]]
    ) -> LiveQuery[T]:
        key = [form, sql, bound(params)]
        try:
            return self._live.shared(
                key, lambda: LiveAnswer(self.change_log, read, lambda: self._tables_read(sql))
            )
        except UNENCODABLE as error:
            raise refused_parameters(error) from error

    async def _tables_read(self, sql: str) -> list[str]:
        """Return the tables that `sql` reads, without views and what is no table of the database."""
        found = await self._read("tables_read", [sql], sql, None)
        stored = {name for (name,) in await self.query(_STORED_TABLES)}
        return [name for name in found if name in stored]

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
        sent = [self._path, [migration.as_params() for migration in found]]
        applied: int = await self._write("migrate", sent, None)
        return applied

    @override
    async def _read(self, method: str, sent: list[Any], sql: str | None, timeout_s: float | None) -> Any:
        if self.is_dropped:
            raise self._gone()
        try:
            return await self._readers.call(
                method,
                [self._path, self._generation, *sent],
                fingerprint=(self._path, sql),
                timeout_s=self._settings.query_timeout_s if timeout_s is None else timeout_s,
                idempotent=True,
            )
        except WorkersError as error:
            raise failed_read(error) from error
        except UNENCODABLE as error:
            raise refused_parameters(error) from error

    async def _write(self, method: str, sent: list[Any], timeout_s: float | None) -> Any:
        if self.is_dropped:
            raise self._gone()
        limit_s = self._settings.write_timeout_s if timeout_s is None else timeout_s
        gate = self._gate
        if not gate.is_open:
            limit_s = await gate.passed(limit_s)
        gate.entered()
        try:
            return await self._writers.call(method, sent, key=self._path, timeout_s=limit_s, idempotent=False)
        except WorkersError as error:
            raise failed_write(error) from error
        except UNENCODABLE as error:
            raise refused_parameters(error) from error
        finally:
            gate.left()
            self.change_log.stir()

    def _gone(self) -> DatabaseNotFound:
        return DatabaseNotFound(f"the database {self.name!r} was dropped")


async def _opened_stream(session: Session, opening: list[Any], timeout_s: float) -> None:
    try:
        await session.call("stream_open", opening, timeout_s=timeout_s)
    except UNENCODABLE as error:
        raise refused_parameters(error) from error


async def _close_stream(session: Session, number: int) -> None:
    """Let the worker let go of the snapshot, also when the caller was cancelled; a lost worker has done so already."""
    with anyio.CancelScope(shield=True):
        try:
            await session.call("stream_close", [number], timeout_s=_CLOSE_STREAM_S)
        except WorkersError:
            return

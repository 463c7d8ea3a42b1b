"""One database for async code: reads by the pool of readers, writes by the one writer of the file.

Nothing here runs SQL: calls go to workers, and what comes back is bytes. Cancelled, a read is interrupted in its
worker; a write is taken back if it has not begun, and otherwise goes on unheard.
"""

from __future__ import annotations

import time
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread
from typing_extensions import override

from storage.backups import back_up, verify
from storage.errors import QueryTimedOut
from storage.json_streams import json_pieces
from storage.log_governor import HeldRead
from storage.migrations import load
from storage.parameters import bound
from storage.pool_errors import UNENCODABLE, failed_read, refused_parameters
from storage.query_costs import QueryCost
from storage.snapshots import Snapshot
from storage.statistics import statistics_of
from storage.tables import TableInfo, table_info
from storage.writing import Writing
from workers import TaskTimedOut, WorkersError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from storage.backups import OnProgress
    from storage.sqlite.backups import BackupMade, Verified
    from storage.statistics import StorageStatistics

    Params = Sequence[Any] | Mapping[str, Any]


class Database(Writing):
    """One database; made by `storage.open` or `Databases`, usable until these close."""

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

    async def back_up(self, target: Path, on_progress: OnProgress | None = None) -> BackupMade:
        """Copy the database as it is now to the new file `target`; writes go on meanwhile. See `storage.back_up`.

        Raises:
            DatabaseExists: There is a file `target`.
            DatabaseCorrupt: The database is damaged.
            StorageFull: No space for the copy.
            StorageSaturated: Too many backups and checks wait already.
        """
        if self.is_dropped:
            raise self._gone()
        async with self._means.maintenance.place():
            with self._logs.holding(HeldRead(self._path, None)):
                return await back_up(self._path, target, self._settings, on_progress)

    async def verify(self, on_progress: OnProgress | None = None) -> Verified:
        """Check all of the database, as it is now. See `storage.verify`.

        Raises:
            DatabaseNotFound: Its file was removed by hand.
        """
        if self.is_dropped:
            raise self._gone()
        async with self._means.maintenance.place():
            with self._logs.holding(HeldRead(self._path, None)):
                return await verify(self._path, self._settings, on_progress)

    async def use_workers(self, use_workers: bool) -> None:
        """Do as `Databases.use_workers`, for all databases that share workers with this one.

        Raises:
            StorageError: As there.
        """
        await self._means.switch.use_workers(use_workers)

    def statistics(self) -> StorageStatistics:
        """Return how the workers stand that this one and its like share."""
        return statistics_of(self._means)

    async def measure(self, sql: str, params: Params = (), *, timeout_s: float | None = None) -> QueryCost:
        """Run a read twice, as JSON and for its steps alone, and return what it cost; its rows are not kept.

        Raises:
            StorageError: As `query`.
        """
        began = time.monotonic()
        cost = await self._read("cost", [sql, bound(params), self._max_result_bytes], sql, timeout_s)
        run_us = cost["lock_us"] + 2 * cost["step_us"] + cost["encode_us"]
        return QueryCost(queue_us=max(0, int((time.monotonic() - began) * 1e6) - run_us), **cost)

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

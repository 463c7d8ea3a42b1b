"""The pool of readers and the pool of writers that all databases of one storage share."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import anyio
import structlog

from storage.database import Database
from storage.errors import StorageError, StorageUnavailable
from storage.log_governor import LOG_SUFFIX, LogGovernor, LogStatistics
from storage.maintenance import MaintenanceLane
from storage.means import Means
from storage.pool_errors import failed_write
from storage.queued_writes import QueuedStatistics, QueuedWrites
from storage.reports import StorageReport, log_facts
from storage.slow_queries import SlowQueries
from storage.tracing import traced
from workers import PoolSettings, ServiceUnavailable, WorkersError, open_pool

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.settings import StorageSettings
    from workers import Kind, Pool, PoolStatistics

_READER = "storage.sqlite.service:ReaderService"
_WRITER = "storage.sqlite.writer:WriterService"
_REPORT_S = 1.0
"""How long a writer that is busy is waited for to tell what it has counted."""
_AGE_GRACE_S = 5.0
"""How long after its age a read that could not be interrupted may take, before its worker is stopped."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("storage")


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageStatistics:
    """The two pools as they stand."""

    reader: PoolStatistics
    writer: PoolStatistics
    logs: LogStatistics
    queued: QueuedStatistics
    kind: Kind
    worker_count: int
    """Readers and writers; 0 when SQL runs on the event loop."""


class Pools:
    """The pool of readers and the pool of writers of one storage."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._readers = means.readers
        self._writers = means.writers

    def database(self, path: str | os.PathLike[str], *, name: str = "", generation: int = 0) -> Database:
        """Return the face of the database at `path`; nothing is opened by this."""
        database = Database(str(path), self._means, name=name, generation=generation)
        self._means.slow.faces[str(path)] = database
        return database

    async def maintain(self, method: str, path: str | os.PathLike[str], *more: object) -> None:
        """Have the writer of the file at `path` run `method`, after the writes that wait.

        Raises:
            StorageError: As `Database.execute`.
        """
        try:
            await self._writers.call(method, [str(path), *more], key=str(path), idempotent=False)
        except WorkersError as error:
            raise failed_write(error) from error

    async def report(self) -> StorageReport:
        """Return how they stand, the logs by path; looks at the logs, and asks the writers."""
        await self._means.logs.look()
        told = await self._writers.call_each("logs", [""], timeout_s=_REPORT_S)
        maintenance = self._means.maintenance
        return StorageReport(
            statistics=self.statistics(),
            logs=log_facts(told),
            slow=self._means.slow.latest(),
            maintenance_running_count=maintenance.running_count,
            maintenance_waiting_count=maintenance.waiting_count,
        )

    def statistics(self) -> StorageStatistics:
        """Return how they stand."""
        reader, writer = self._readers.statistics(), self._writers.statistics()
        is_inline = reader.kind == "inline"
        return StorageStatistics(
            reader=reader,
            writer=writer,
            logs=self._means.logs.statistics(),
            queued=self._means.queued.statistics(),
            kind=reader.kind,
            worker_count=0 if is_inline else reader.worker_count + writer.worker_count,
        )


@asynccontextmanager
async def open_pools(settings: StorageSettings, *, folder: Path | None = None) -> AsyncIterator[Pools]:
    """Start the workers that `settings` ask for; on leaving, what was admitted is finished first.

    With `folder`, no database in it is left with a write-ahead log beside it, be it one that was only read.

    Raises:
        StorageUnavailable: They can't start; the message says why.
    """
    kind: Literal["process", "thread", "inline"] = settings.kind if settings.use_workers else "inline"
    options = settings.service_options()
    weights = (
        {} if folder is None else {str(folder / f"{name}.db"): one for name, one in settings.weights.items()}
    )
    writers = PoolSettings(
        kind=kind,
        worker_count=settings.writer_count,
        maintenance_count=settings.maintenance_count,
        max_waiting_count=settings.max_queue_size,
        weights=weights,
        default_timeout_s=settings.write_timeout_s,
    )
    readers = PoolSettings(
        kind=kind,
        worker_count=settings.worker_count,
        maintenance_count=settings.maintenance_count,
        max_waiting_count=settings.max_queue_size,
        weights=weights,
        default_timeout_s=settings.query_timeout_s,
        max_run_s=settings.reader_age_s + _AGE_GRACE_S,
    )
    async with AsyncExitStack() as stack:
        try:  # the writers first, so that they close last: who closes a file last leaves no log behind
            writing = await stack.enter_async_context(
                open_pool(_WRITER, options, writers, name="writers", has_lanes=False)
            )
            if folder is not None:
                stack.push_async_callback(_empty_logs, writing, folder)  # when the readers are closed
            reading = await stack.enter_async_context(open_pool(_READER, options, readers, name="readers"))
        except ServiceUnavailable as error:
            raise StorageUnavailable(f"the workers can't start: {error}") from error
        logs = LogGovernor(reading, settings)
        slow = SlowQueries(reading, writing, settings)
        pools = Pools(
            Means(
                traced(reading) if settings.tracing else reading,
                traced(writing) if settings.tracing else writing,
                settings,
                logs,
                QueuedWrites(writing, settings),
                MaintenanceLane(settings.maintenance_count),
                slow,
            )
        )
        facts = pools.statistics()
        if facts.kind == "inline":
            reason = facts.reader.fallback_reason or "use_workers is off"
            _log.warning("storage.opened_without_workers", reason=reason)
        else:
            _log.info("storage.opened", kind=facts.kind, worker_count=facts.worker_count)
        failure: BaseException | None = None
        async with anyio.create_task_group() as governing:
            governing.start_soon(logs.run)
            governing.start_soon(slow.run)
            try:
                yield pools
            except BaseException as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
                failure = error
            governing.cancel_scope.cancel()
        _log.info("storage.closing", kind=facts.kind, worker_count=facts.worker_count)
        if failure is not None:
            raise failure


async def _empty_logs(writing: Pool, folder: Path) -> None:
    """Put what lies in logs into the databases: a reader, which may be the last to close, can't, nor after a crash."""
    for log in sorted([found async for found in anyio.Path(folder).glob(f"*{LOG_SUFFIX}")]):
        path = str(log).removesuffix(LOG_SUFFIX)
        try:
            await writing.call("checkpoint", [path], key=path, idempotent=False)
            await writing.call("close_database", [path], key=path, idempotent=False)
        except (StorageError, WorkersError) as error:
            _log.warning("storage.log_left", database=log.name.removesuffix(LOG_SUFFIX), reason=str(error))

"""The pool of readers and the pool of writers that all databases of one storage share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
import structlog

from storage.database import Database
from storage.errors import StorageError, StorageUnavailable
from storage.log_governor import LogGovernor
from storage.maintenance import MaintenanceLane
from storage.means import Means
from storage.queued_writes import QueuedWrites
from storage.reports import StorageReport, log_facts
from storage.slow_queries import SlowQueries
from storage.statistics import statistics_of
from storage.switching import WorkerSwitch

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.settings import StorageSettings
    from storage.statistics import StorageStatistics

_REPORT_S = 1.0
"""How long a writer that is busy is waited for to tell what it has counted."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("storage")


class Pools:
    """The pool of readers and the pool of writers of one storage."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._faces: WeakValueDictionary[str, Database] = WeakValueDictionary()

    def database(self, path: str | os.PathLike[str], *, name: str = "", generation: int = 0) -> Database:
        """Return the face of the database at `path`; nothing is opened by this."""
        database = Database(str(path), self._means, name=name, generation=generation)
        self._means.slow.faces[str(path)] = self._faces[str(path)] = database
        return database

    async def use_workers(self, use_workers: bool) -> None:
        """See `WorkerSwitch.use_workers`.

        Raises:
            StorageError: As there.
        """
        await self._means.switch.use_workers(use_workers)

    async def empty_log(self, path: str) -> None:
        """Have the writer of the file at `path` put what is in its log into the database, as far as readers allow it."""
        database = self._faces.get(path)
        if database is None:
            return
        try:
            await database.maintain("checkpoint")
        except StorageError as error:  # it is busy, or gone
            _log.debug("storage.log_left_long", database=database.name, reason=str(error))

    async def report(self) -> StorageReport:
        """Return how they stand, the logs by path; looks at the logs, and asks the writers."""
        await self._means.logs.look()
        told = await self._means.writers.call_each("logs", [""], timeout_s=_REPORT_S)
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
        return statistics_of(self._means)


@asynccontextmanager
async def open_pools(settings: StorageSettings, *, folder: Path | None = None) -> AsyncIterator[Pools]:
    """Start the workers that `settings` ask for; on leaving, what was admitted is finished first.

    With `folder`, no database in it is left with a write-ahead log beside it, be it one that was only read.

    Raises:
        StorageUnavailable: They can't start; the message says why.
    """
    slow = SlowQueries()
    switch = WorkerSwitch(settings, folder, slow)
    logs = LogGovernor(switch.readers, settings)
    failure: BaseException | None = None
    async with anyio.create_task_group() as generations:
        try:
            await switch.open(generations)
            means = Means(
                switch,
                settings,
                logs,
                QueuedWrites(settings),
                MaintenanceLane(settings.maintenance_count),
                slow,
            )
            pools = Pools(means)
            _tell_opened(pools.statistics())
            async with anyio.create_task_group() as governing:
                governing.start_soon(logs.run)
                governing.start_soon(logs.run_tries, pools.empty_log)
                governing.start_soon(slow.run)
                switch.allow_changes(governing, logs)
                try:
                    yield pools
                except BaseException as error:  # noqa: BLE001 - raised again below, outside the groups, which would wrap it
                    failure = error
                switch.stop_changes()
                governing.cancel_scope.cancel()
            facts = pools.statistics()
            _log.info("storage.closing", kind=facts.kind, worker_count=facts.worker_count)
        except StorageUnavailable as error:
            failure = failure or error
        finally:
            is_cancelled = isinstance(failure, anyio.get_cancelled_exc_class())
            await switch.close(empties_logs=not is_cancelled)
    if failure is not None:
        raise failure


def _tell_opened(facts: StorageStatistics) -> None:
    if facts.kind == "inline":
        reason = facts.reader.fallback_reason or "use_workers is off"
        _log.warning("storage.opened_without_workers", reason=reason)
    else:
        _log.info("storage.opened", kind=facts.kind, worker_count=facts.worker_count)

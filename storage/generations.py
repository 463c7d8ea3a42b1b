"""The pools of one storage from their start to their end: one generation after the other, as workers go on and off.

A generation serves until another takes its place. Then it gets no new work, finishes what it has (calls under way,
streams and snapshots that are open), and closes: its readers first, then its writers, for who closes a file last leaves
no log behind. No read may be older than `reader_age_s`, so that is the bound; what is left then ends as if its worker had
died.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread
import structlog

from storage.errors import StorageError, StorageUnavailable
from storage.log_governor import LOG_SUFFIX
from storage.tracing import traced
from workers import PoolSettings, ServiceUnavailable, WorkersError, open_pool

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import TaskStatus

    from storage.log_governor import LogGovernor
    from storage.settings import StorageSettings
    from storage.slow_queries import SlowQueries
    from workers import Pool

_READER = "storage.sqlite.service:ReaderService"
_WRITER = "storage.sqlite.writer:WriterService"
_AGE_GRACE_S = 5.0
"""How long after its age a read that could not be interrupted may take, before its worker is stopped."""
_LOOK_S = 0.05
"""How often a generation that drains looks whether it is done."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("storage")


class Generation:
    """A pool of readers and a pool of writers; `run` has to run while they are used."""

    readers: Pool
    writers: Pool
    """As databases use them: with spans, where these are wanted."""

    def __init__(self, settings: StorageSettings, folder: Path | None, slow: SlowQueries) -> None:
        self.settings = settings
        self.staying_count = 0
        """Databases that are still written by it, though it has retired."""
        self._folder = folder
        self._slow = slow
        self._empties_logs = False
        self._logs: LogGovernor | None = None
        self._retired = anyio.Event()
        self._ended = anyio.Event()
        self._serving = anyio.CancelScope()

    @property
    def has_ended(self) -> bool:
        """Its workers are gone."""
        return self._ended.is_set()

    def unfinished_count(self) -> int:
        """Return how many calls, streams and snapshots it has."""
        calls_count = sum(
            pool.in_flight_count + pool.waiting_count
            for pool in (self.readers.statistics(), self.writers.statistics())
        )
        return calls_count + (0 if self._logs is None else self._logs.held_count(self.readers))

    def retire(self, logs: LogGovernor) -> None:
        """Let it finish what it has, and end; no read may be begun on it any more, and no write but by who stays."""
        self._logs = logs
        self._retired.set()

    async def close(self, *, empties_logs: bool) -> None:
        """End it: what it has gets some seconds; with `empties_logs`, no write-ahead log stays behind in the folder."""
        self._empties_logs = empties_logs
        self._serving.cancel()
        await self.until_ended()

    async def until_ended(self) -> None:
        """Return once its workers are gone."""
        await self._ended.wait()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Start the workers, and see them end once it has retired or is closed: nothing else ends it.

        Raises:
            StorageUnavailable: They can't start.
        """
        try:
            with anyio.CancelScope() as life:
                async with AsyncExitStack() as stack:
                    await self._start(stack)
                    life.shield = True  # whoever is cancelled may have something to write down
                    task_status.started()
                    with self._serving:
                        await self._retired.wait()
                        await self._finish()
        finally:
            self._ended.set()

    async def _start(self, stack: AsyncExitStack) -> None:
        reader_settings, writer_settings = self._pool_settings()
        options = self.settings.service_options()
        if not self.settings.use_workers:
            for service in (_READER, _WRITER):  # not on the loop, which serves meanwhile
                await anyio.to_thread.run_sync(import_module, service.partition(":")[0])
        try:  # the writers first, so that they close last
            writing = await stack.enter_async_context(
                open_pool(_WRITER, options, writer_settings, name="writers", has_lanes=False)
            )
            stack.push_async_callback(self._empty_logs, writing)  # when the readers are closed
            reading = await stack.enter_async_context(
                open_pool(_READER, options, reader_settings, name="readers")
            )
        except ServiceUnavailable as error:
            raise StorageUnavailable(f"the workers can't start: {error}") from error
        for pool in (reading, writing):
            pool.watch_slow(self.settings.slow_query_s, self._slow.add)
        self.readers = traced(reading) if self.settings.tracing else reading
        self.writers = traced(writing) if self.settings.tracing else writing

    def _pool_settings(self) -> tuple[PoolSettings, PoolSettings]:
        """Return those of the readers and those of the writers."""
        settings, folder = self.settings, self._folder
        kind: Literal["process", "thread", "inline"] = settings.kind if settings.use_workers else "inline"
        weights = (
            {}
            if folder is None
            else {str(folder / f"{name}.db"): one for name, one in settings.weights.items()}
        )
        both = PoolSettings(
            kind=kind,
            maintenance_count=settings.maintenance_count,
            max_waiting_count=settings.max_queue_size,
            weights=weights,
        )
        readers = replace(
            both,
            worker_count=settings.worker_count,
            default_timeout_s=settings.query_timeout_s,
            max_run_s=settings.reader_age_s + _AGE_GRACE_S,
        )
        writers = replace(
            both, worker_count=settings.writer_count, default_timeout_s=settings.write_timeout_s
        )
        return readers, writers

    async def _finish(self) -> None:
        """Return once nothing is left to do, or the time for it is over."""
        with anyio.move_on_after(self.settings.reader_age_s + _AGE_GRACE_S) as limit:
            while self.staying_count or self.unfinished_count():  # noqa: ASYNC110 - it is told by many, and rare
                await anyio.sleep(_LOOK_S)
        if limit.cancelled_caught:
            _log.warning("storage.workers_cut_off", unfinished_count=self.unfinished_count())

    async def _empty_logs(self, writing: Pool) -> None:
        """Put what lies in logs into the databases: a reader, which may be the last to close, can't, nor after a crash."""
        if self._folder is None or not self._empties_logs:
            return
        for log in sorted([found async for found in anyio.Path(self._folder).glob(f"*{LOG_SUFFIX}")]):
            path = str(log).removesuffix(LOG_SUFFIX)
            try:
                await writing.call("checkpoint", [path], key=path, idempotent=False)
                await writing.call("close_database", [path], key=path, idempotent=False)
            except (StorageError, WorkersError) as error:
                _log.warning(
                    "storage.log_left", database=log.name.removesuffix(LOG_SUFFIX), reason=str(error)
                )

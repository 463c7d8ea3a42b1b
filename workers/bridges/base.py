"""What every bridge shares: its pools, the choice between them, and what happens when a worker fails.

A request runs on the loop, in a thread or in a process, whichever was measured to answer soonest for its method and
size (`Bridge.placements`). One whose process dies or does not answer in time is done again in this process, in a
thread; so is every request where no process can be started.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import anyio
import structlog

from workers.bridges.book import RequestBook
from workers.bridges.settings import BridgeSettings, Placement
from workers.bridges.steps import next_step
from workers.buffers import Input, size_of
from workers.errors import PoolClosed, PoolSaturated, ServiceUnavailable, TaskTimedOut, WorkerDied
from workers.opening import open_pool
from workers.settings import PoolSettings, Priority, check_seconds, default_worker_count

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus

    from workers.answers import Answer
    from workers.bridges.book import BridgeStatistics, Entry, PendingRequest
    from workers.pool import Pool
    from workers.settings import Kind

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

R = TypeVar("R")


class How(TypedDict, total=False):
    """The options of a request."""

    buffers: Sequence[Input]
    """Input beside the parameters, at most 64; not to be changed until the request returns."""
    size_bytes: int
    """What it works on beside `buffers` (a file, say); the two together decide where it runs."""
    timeout_s: float | None
    """For the whole on workers, and again for a second try in this process."""
    max_wait_s: float | None
    """Until it begins; while the pool is full it tries again so long, as far as `retries_count` goes."""
    priority: Priority
    on_progress: Callable[[int, int | None, str], None] | None
    """Called on the loop with what is done, the total if it is known, and a note."""
    idempotent: bool
    """Whether it may run twice."""
    retries_count: int
    """Further tries on workers, when one died or the pool was full."""
    scope: anyio.CancelScope | None
    """Entered around the request; cancelled, it ends the request with `TaskCancelled`."""
    request_id: str | None
    """Its id among the pending ones; the bridge makes one where None is given."""


class Bridge:
    """The async face of one service; subclass it with typed methods that call `_request` or `_answer`."""

    name: str
    service: str
    """`module:Class` of a `MethodService`."""
    placements: Mapping[str, Placement] = MappingProxyType({})
    """By method; one that is missing always runs in a thread."""

    def __init__(self, group: TaskGroup, settings: BridgeSettings) -> None:
        self._group = group
        self._settings = settings
        self._book = RequestBook(self.name, settings.max_pending_count)
        self._pools: dict[Kind, Pool] = {}
        self._options: dict[str, Any] = dict(settings.service_options.get(self.name, {}))
        self._opening = anyio.Lock()
        self._closing = anyio.Event()
        self._ended: list[anyio.Event] = []

    def stats(self) -> BridgeStatistics:
        """Return the bridge as it stands."""
        return self._book.statistics(tuple(pool.statistics() for pool in self._pools.values()))

    def pending(self) -> tuple[PendingRequest, ...]:
        """Return the requests that are out, the oldest first."""
        return self._book.pending()

    def abort(self, request_id: str) -> bool:
        """End a request with `TaskCancelled` for its caller; False if none of this id is out."""
        return self._book.abort(request_id)

    def abort_all(self) -> int:
        """End all requests that are out, and return how many there were."""
        return self._book.abort_all()

    async def close(self) -> None:
        """Refuse new requests, give those that are out `drain_s`, and see all workers end; again does nothing."""
        self._closing.set()
        async with self._opening:
            pass  # a pool that was being opened is there now, and closes
        for ended in self._ended:
            await ended.wait()

    async def _request(self, method: str, params: Any, result: type[R], **how: Unpack[How]) -> R:
        """Have the service run `method` and return its result; for one that gives buffers, use `_answer`.

        Raises:
            PoolSaturated: As many requests as may be are out; try again after `retry_after_s`.
            PoolClosed: The bridge is closed, or was while this ran.
            ValueError: A time that makes no sense; nothing ran.
            TaskCancelled: It was aborted.
            TaskTimedOut: Neither a worker nor this process answered, each within `timeout_s`.
            InvalidParameters, InvalidResult, UnknownMethod, TaskFailed: See `Pool.request`.
            PortableError: What the service raised on purpose.
        """
        with await self._answer(method, params, result, **how) as answer:
            return answer.value

    async def _answer(self, method: str, params: Any, result: type[R], **how: Unpack[How]) -> Answer[R]:
        """As `_request`, with the buffers that the method gives beside its result; the caller closes the answer."""
        if self._closing.is_set():
            raise PoolClosed(f"the bridge {self.name} is closed")
        kind = self._place(method, how.get("size_bytes", 0) + size_of(how.get("buffers", ())))
        limit_s = self._limit_s(how)
        answer: Answer[R] | None = None
        with self._book.entered(method, how.get("request_id"), how.get("scope")) as entry:
            self._trace("workers.request_began", entry, kind=kind)
            try:
                answer = await self._tried(entry, kind, params, result, how, limit_s=limit_s)
            except Exception as error:
                self._trace("workers.request_failed", entry, kind=kind, reason=type(error).__name__)
                raise
            self._trace("workers.request_answered", entry, kind=kind)
        if answer is None:
            raise AssertionError("a request that was not aborted has an answer")
        return answer

    async def _tried(
        self, entry: Entry, kind: Kind, params: Any, result: type[R], how: How, *, limit_s: float
    ) -> Answer[R]:
        idempotent = how.get("idempotent", True)
        max_wait_s = how.get("max_wait_s")
        retries_left = how.get("retries_count", 0)
        deadline = entry.began + limit_s
        begin_by = deadline if max_wait_s is None else min(entry.began + max_wait_s, deadline)
        while True:
            now = time.monotonic()
            try:
                pool = await self._pool(kind)
                return await pool.request(
                    entry.method,
                    params,
                    result,
                    buffers=how.get("buffers", ()),
                    timeout_s=deadline - now,
                    max_wait_s=None if max_wait_s is None else begin_by - now,
                    priority=how.get("priority", "normal"),
                    on_progress=how.get("on_progress"),
                    idempotent=idempotent,
                )
            except (PoolSaturated, WorkerDied, TaskTimedOut, ServiceUnavailable) as error:
                step = next_step(
                    error,
                    kind=kind,
                    idempotent=idempotent,
                    retries_left=retries_left,
                    may_redo=self._settings.redo_in_process and not self._closing.is_set(),
                )
                wait_s = error.retry_after_s if isinstance(error, PoolSaturated) else 0.0
                if step == "again" and time.monotonic() + wait_s > begin_by:
                    step = "fail"
                if step == "fail":
                    raise
                reason = str(error)
            if step == "again":
                retries_left -= 1
                self._book.retried_count += 1
                await anyio.sleep(wait_s)
                continue
            self._book.redone_count += 1
            _log.warning("workers.request_redone", bridge=self.name, method=entry.method, reason=reason)
            kind, begin_by = "thread", float("inf")
            deadline, max_wait_s, retries_left = time.monotonic() + limit_s, None, 0

    def _limit_s(self, how: How) -> float:
        """Return the time a request has in all; a time of no sense is refused, for nothing would end at it."""
        given_s, max_wait_s = how.get("timeout_s"), how.get("max_wait_s")
        limit_s = self._settings.timeout_s if given_s is None else given_s
        check_seconds("timeout_s", limit_s)
        if max_wait_s is not None and not max_wait_s >= 0:
            raise ValueError(f"max_wait_s is {max_wait_s!r}; a number of seconds from 0 on is allowed")
        return limit_s

    def _trace(self, event: str, entry: Entry, **facts: Any) -> None:
        if self._settings.debug:
            age_ms = round((time.monotonic() - entry.began) * 1e3, 3)
            _log.debug(event, bridge=self.name, request=entry.id, method=entry.method, age_ms=age_ms, **facts)

    def _place(self, method: str, size_bytes: int) -> Kind:
        if self._settings.kind is not None:
            return self._settings.kind
        return self.placements.get(method, Placement()).kind_for(size_bytes)

    async def _pool(self, kind: Kind) -> Pool:
        pool = self._pools.get(kind)
        if pool is not None:
            return pool
        async with self._opening:
            pool = self._pools.get(kind)
            if pool is None:
                if self._closing.is_set():
                    raise PoolClosed(f"the bridge {self.name} is closed")
                pool = self._pools[kind] = await self._group.start(self._hold, kind)
        return pool

    async def _hold(self, kind: Kind, *, task_status: TaskStatus[Pool]) -> None:
        """Keep a pool open until the bridge closes."""
        ended = anyio.Event()
        try:
            async with open_pool(
                self.service,
                self._options,
                self._pool_settings(kind),
                name=f"{self.name}-{kind}",
                has_lanes=False,
                drain_s=self._settings.drain_s,
            ) as pool:
                self._ended.append(ended)
                task_status.started(pool)
                await self._closing.wait()
        finally:
            ended.set()

    def _pool_settings(self, kind: Kind) -> PoolSettings:
        """Return the settings of this bridge's pool of `kind`; a subclass may change some."""
        settings = self._settings
        return PoolSettings(
            kind=kind,
            worker_count=settings.worker_count or default_worker_count(),
            min_worker_count=1,
            spare_count=1 if kind == "process" else 0,
            max_waiting_count=settings.max_pending_count,
            max_waiting_bytes=settings.max_waiting_bytes,
            default_timeout_s=settings.timeout_s,
            cancel_grace_s=settings.cancel_grace_s,
            terminate_grace_s=settings.cancel_grace_s,
        )

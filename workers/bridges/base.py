"""What every bridge shares: its pools, the choice between them, its bounds, and what happens when a worker fails.

A request runs on the loop, in a thread or in a process, whichever was measured to answer soonest for its method and
size (`Bridge.placements`). One whose process dies or does not answer in time is done again in this process, in a
thread; so is every request where no process can be started.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import structlog

from workers.buffers import size_of
from workers.errors import (
    PoolClosed,
    PoolSaturated,
    ServiceUnavailable,
    TaskCancelled,
    TaskTimedOut,
    WorkerDied,
)
from workers.opening import open_pool
from workers.settings import KINDS, PoolSettings
from workers.statistics import Histogram

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus

    from workers.answers import Answer
    from workers.buffers import Input
    from workers.pool import OnProgress, Pool
    from workers.settings import Kind
    from workers.statistics import Durations, PoolStatistics

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a method runs, by the bytes it works on: inline below the first bound, in a process from the second on."""

    thread_from_bytes: int = 0
    """Below this it runs on the loop: the work is shorter than a hop (and than a millisecond)."""
    process_from_bytes: float = float("inf")

    def kind_for(self, size_bytes: int) -> Kind:
        """Return the kind of worker for `size_bytes`."""
        if size_bytes >= self.process_from_bytes:
            return "process"
        return "inline" if size_bytes < self.thread_from_bytes else "thread"


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeSettings:
    """The numbers of the bridges opened together; each bridge has these bounds for itself.

    Raises:
        ValueError: A number makes no sense; the message names it and what is allowed.
    """

    kind: Kind | None = None
    """Run everything in this kind of worker, whatever the placements say."""
    worker_count: int | None = None
    """Workers of a pool; None means half the cores, at least one."""
    max_pending_count: int = 100
    """Requests of one bridge that may be out at a time; the next one is refused."""
    max_waiting_bytes: int = 1024 * 1024 * 1024
    timeout_s: float = 120.0
    """For requests that name none."""
    drain_s: float = 5.0
    """What requests under way get when a bridge closes."""
    redo_in_process: bool = True
    """Do a request again in this process when its worker died or did not answer."""
    service_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options for the services, by the name of the bridge."""

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; allowed are None, {', '.join(KINDS)}")
        for name in ("max_pending_count", "max_waiting_bytes", "worker_count"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} is {value!r}; a whole number of at least 1 is allowed")
        if not 0 < self.timeout_s < float("inf"):
            raise ValueError(
                f"timeout_s is {self.timeout_s!r}; a finite number of seconds above 0 is allowed"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeStatistics:
    """A bridge as it stood; counts are since it was made."""

    name: str
    pending_count: int
    oldest_age_s: float
    """How long the oldest pending request has been out; 0.0 when there is none."""
    completed_count: int
    failed_count: int
    refused_count: int
    redone_count: int
    """Requests done again in this process because their worker failed."""
    methods: Mapping[str, Durations]
    """From the request to its answer, by method."""
    pools: tuple[PoolStatistics, ...]


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
        self._pools: dict[Kind, Pool] = {}
        self._options: dict[str, Any] = dict(settings.service_options.get(self.name, {}))
        self._opening = anyio.Lock()
        self._closing = anyio.Event()
        self._ids = count(1)
        self._pending: dict[int, float] = {}
        self._durations: dict[str, Histogram] = {}
        self._completed_count = self._failed_count = self._refused_count = self._redone_count = 0
        self._ended: list[anyio.Event] = []

    def stats(self) -> BridgeStatistics:
        """Return the bridge as it stands."""
        oldest = min(self._pending.values(), default=None)
        return BridgeStatistics(
            name=self.name,
            pending_count=len(self._pending),
            oldest_age_s=0.0 if oldest is None else time.monotonic() - oldest,
            completed_count=self._completed_count,
            failed_count=self._failed_count,
            refused_count=self._refused_count,
            redone_count=self._redone_count,
            methods={name: each.frozen() for name, each in self._durations.items()},
            pools=tuple(pool.statistics() for pool in self._pools.values()),
        )

    async def close(self) -> None:
        """Refuse new requests, give those that are out `drain_s`, and see all workers end; again does nothing."""
        self._closing.set()
        async with self._opening:
            pass  # a pool that was being opened is there now, and closes
        for ended in self._ended:
            await ended.wait()

    async def _request(
        self,
        method: str,
        params: Any,
        result: type[R],
        *,
        buffers: Sequence[Input] = (),
        size_bytes: int = 0,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
        idempotent: bool = True,
    ) -> R:
        """Have the service run `method` and return its result; for one that gives buffers, use `_answer`.

        `size_bytes` is what it works on beside `buffers` (a file, say); the two together decide where it runs.

        Raises:
            PoolSaturated: As many requests as may be are out; try again after `retry_after_s`.
            PoolClosed: The bridge is closed, or was while this ran.
            TaskTimedOut: Neither a worker nor this process answered, each within `timeout_s`.
            InvalidParameters, InvalidResult, UnknownMethod, TaskFailed: See `Pool.request`.
            PortableError: What the service raised on purpose.
        """
        with await self._answer(
            method,
            params,
            result,
            buffers=buffers,
            size_bytes=size_bytes,
            timeout_s=timeout_s,
            on_progress=on_progress,
            idempotent=idempotent,
        ) as answer:
            return answer.value

    async def _answer(
        self,
        method: str,
        params: Any,
        result: type[R],
        *,
        buffers: Sequence[Input] = (),
        size_bytes: int = 0,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
        idempotent: bool = True,
    ) -> Answer[R]:
        """As `_request`, with the buffers that the method gives beside its result; the caller closes the answer."""
        if self._closing.is_set():
            raise PoolClosed(f"the bridge {self.name} is closed")
        if len(self._pending) >= self._settings.max_pending_count:
            self._refused_count += 1
            raise PoolSaturated(
                f"{len(self._pending)} requests of {self.name} are out, which is the most that may be",
                retry_after_s=0.1,
                reason="pending_full",
            )
        kind = self._place(method, size_bytes + size_of(buffers))
        limit_s = self._settings.timeout_s if timeout_s is None else timeout_s
        number, began = next(self._ids), time.monotonic()
        self._pending[number] = began
        try:
            try:
                pool = await self._pool(kind)
                answer = await pool.request(
                    method,
                    params,
                    result,
                    buffers=buffers,
                    timeout_s=limit_s,
                    on_progress=on_progress,
                    idempotent=idempotent,
                )
            except (WorkerDied, TaskTimedOut, ServiceUnavailable) as error:
                is_safe = idempotent or not getattr(error, "begun", False)
                if (
                    kind != "process"
                    or not is_safe
                    or not self._settings.redo_in_process
                    or self._closing.is_set()
                ):
                    raise
                self._redone_count += 1
                _log.warning("workers.request_redone", bridge=self.name, method=method, reason=str(error))
                pool = await self._pool("thread")
                answer = await pool.request(
                    method,
                    params,
                    result,
                    buffers=buffers,
                    timeout_s=limit_s,
                    on_progress=on_progress,
                    idempotent=idempotent,
                )
        except TaskCancelled:
            raise
        except Exception:
            self._failed_count += 1
            raise
        else:
            self._completed_count += 1
            return answer
        finally:
            del self._pending[number]
            self._durations.setdefault(method, Histogram()).add(int((time.monotonic() - began) * 1e6))

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
        async with open_pool(
            self.service,
            self._options,
            self._pool_settings(kind),
            name=f"{self.name}-{kind}",
            has_lanes=False,
            drain_s=self._settings.drain_s,
        ) as pool:
            ended = anyio.Event()
            self._ended.append(ended)
            task_status.started(pool)
            await self._closing.wait()
        ended.set()

    def _pool_settings(self, kind: Kind) -> PoolSettings:
        """Return the settings of this bridge's pool of `kind`; a subclass may change some."""
        return PoolSettings(
            kind=kind,
            worker_count=self._settings.worker_count or 1,
            max_waiting_count=self._settings.max_pending_count,
            max_waiting_bytes=self._settings.max_waiting_bytes,
        )

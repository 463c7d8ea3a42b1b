"""A pool of workers as its callers see it; one class for all kinds, which differ in their backend only."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from workers.admission import Admission
from workers.dispatcher import Dispatcher
from workers.entrance import Entrance
from workers.errors import PoolClosed, WorkersError
from workers.health import Health
from workers.keeper import Keeper
from workers.posted import Posted
from workers.requests import asked
from workers.sessions import Session, opened_session
from workers.statistics import PoolStatistics, pool_statistics
from workers.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable, Sequence

    from workers.answers import Answer
    from workers.buffers import Input
    from workers.completion import Loop
    from workers.ledger import SlowCall
    from workers.requests import OnProgress
    from workers.settings import Kind, Lane, PoolSettings, Priority
    from workers.worker import Backend, Pending

R = TypeVar("R")


class Pool:
    """Workers that run one service; made by `open_pool`."""

    def __init__(
        self,
        backend: Backend,
        settings: PoolSettings,
        loop: Loop,
        *,
        name: str,
        has_lanes: bool,
        fallback_reason: str | None,
    ) -> None:
        self.name = name
        self.kind: Kind = backend.kind
        """What its workers are, which is not what was asked for where that can't run (`statistics` says why)."""
        self.worker_count = 1 if backend.kind == "inline" else settings.worker_count
        self._settings = settings
        self._fallback_reason = fallback_reason
        maintenance_count = 0 if backend.kind == "inline" else settings.maintenance_count
        admission = Admission(
            running={
                "short": self.worker_count,
                "scan": max(1, self.worker_count - 1),
                "maintenance": max(1, maintenance_count),
            },
            max_waiting_count=settings.max_waiting_count,
            max_waiting_bytes=settings.max_waiting_bytes,
        )
        self._dispatcher = Dispatcher(
            loop,
            settings,
            admission,
            slots_count=self.worker_count,
            maintenance_count=maintenance_count,
            has_lanes=has_lanes,
        )
        self._slow = self._dispatcher.slow
        self._doubts = self._dispatcher.ledger.doubts
        self._watch = Watch(self._dispatcher, loop, settings, backend.kind, name)
        self._keeper = Keeper(self._dispatcher, backend, settings, name=name)
        self._health = Health(self._dispatcher, settings, name=name)
        self._entrance = Entrance(
            self._dispatcher,
            self._watch,
            loop,
            settings,
            name=name,
            kind=self.kind,
            has_maintenance=maintenance_count > 0,
        )

    async def call(
        self,
        method: str,
        params: Any = None,
        *,
        lane: Lane = "short",
        key: Hashable = None,
        fingerprint: Hashable = None,
        timeout_s: float | None = None,
        idempotent: bool = False,
        tenant: str = "",
    ) -> Any:
        """Have a worker run `method` and return its result; a `Body` must be closed by the caller.

        Calls of one `key` keep their order and never run on two workers at once. `fingerprint` says which calls
        are alike, so that one that proved slow starts in the scan lane next time. Tenants take turns by their weights.
        A cancelled wait interrupts an `idempotent` call; any other is taken back if it has not begun, and else goes
        on unheard.

        Raises:
            PoolSaturated: A bound is reached, or what waits would take longer than `timeout_s`; nothing was queued;
                try again after `retry_after_s`.
            TaskTimedOut: `timeout_s` (the pool's default if None) went by, waiting included.
            WorkerDied: The worker ended during the call; repeat it if it is idempotent or had not `begun`.
            PoolClosed: The pool closes; the call did not run.
            ServiceUnavailable: Workers die as fast as they start.
            TaskFailed: The service raised an unexpected error.
            PortableError: What the service raised on purpose.
            TypeError, ValueError, OverflowError: `params` hold what MessagePack does not carry.
        """
        if fingerprint is not None and (
            fingerprint in self._slow
            or (self._doubts and self._doubts.has(tenant, fingerprint, time.monotonic()))
        ):
            lane = "scan"
        pending = self._entrance.submit(
            method,
            params,
            timeout_s,
            lane=lane,
            key=key,
            fingerprint=fingerprint,
            idempotent=idempotent,
            pinned=None,
            tenant=tenant,
        )
        try:
            return await pending.future  # as `Entrance.answer_to`, in line: this is the hot path
        except BaseException:
            self._dispatcher.endings.abandon(pending)
            raise

    def post(
        self,
        method: str,
        params: Any,
        on_end: Callable[[Any, BaseException | None], None],
        *,
        key: Hashable = None,
        timeout_s: float | None = None,
        tenant: str = "",
    ) -> int:
        """Let a call in for which nobody waits, and return how many bytes it holds until its end.

        `on_end`, which must not raise, is called once, on the loop, with its result or its error; a pool that is closed
        lets it be done first. The call is as one of `call` that is not idempotent.

        Raises:
            PoolSaturated, PoolClosed, ServiceUnavailable, TypeError, ValueError, OverflowError: As `call`; `on_end`
                is not called.
        """
        pending = self._entrance.submit(
            method,
            params,
            timeout_s,
            lane="short",
            key=key,
            fingerprint=None,
            idempotent=False,
            pinned=None,
            tenant=tenant,
            posted=Posted(on_end),
        )
        return len(pending.tail)

    async def request(
        self,
        method: str,
        params: Any,
        result: type[R],
        *,
        buffers: Sequence[Input] = (),
        timeout_s: float | None = None,
        max_wait_s: float | None = None,
        priority: Priority = "normal",
        on_progress: OnProgress | None = None,
        idempotent: bool = False,
    ) -> Answer[R]:
        """Have a worker run a typed method of a `MethodService` and return its result; close what it returns.

        `buffers` (at most 64) must not change until it returns. `max_wait_s` bounds the time until it begins,
        `timeout_s` the whole. `on_progress` is called on the loop with what is done, the total if it is known, and a
        note; what it raises goes to the log, and it is not called again. Low priority waits for the others, but
        not longer than 5 s.

        Raises:
            InvalidParameters, UnknownMethod: Nothing ran.
            InvalidResult: It ran, but its result is not a `result`.
            OSError: No memory or descriptor is to be had for the buffers.
            Exception: As `call`.
        """
        return await asked(
            self._entrance,
            method,
            params,
            result,
            buffers=buffers,
            timeout_s=timeout_s,
            max_wait_s=max_wait_s,
            priority=priority,
            on_progress=on_progress,
            idempotent=idempotent,
        )

    @asynccontextmanager
    async def session(self, *, lane: Lane = "scan", tenant: str = "") -> AsyncIterator[Session]:
        """Pin calls to one worker, whose service keeps state between them (a stream, say).

        Raises:
            ServiceUnavailable: No worker is alive.
        """
        with opened_session(self._dispatcher, self._entrance, lane, name=self.name, tenant=tenant) as session:
            yield session

    async def call_each(
        self, method: str, params: Any = None, *, timeout_s: float | None = None
    ) -> list[Any]:
        """Have every worker that is alive run `method`, side by side; return what those say that answer in time."""
        answers: list[Any] = []

        async def ask(session: Session) -> None:
            try:
                answers.append(await session.call(method, params, timeout_s=timeout_s))
            except WorkersError:
                return  # it is busy, or gone

        async with anyio.create_task_group() as group:
            for slot in self._dispatcher.slots:
                if slot.worker is not None:
                    group.start_soon(ask, Session(self._entrance, slot))
        return answers

    def running(self) -> list[tuple[Pending, float]]:
        """Return the calls that workers run now, but for batches, and for how many seconds each has run."""
        return self._dispatcher.endings.running()

    def end(self, pending: Pending, error: Exception) -> None:
        """Interrupt one of `running` that may be repeated, and give its caller `error`."""
        if pending.idempotent and not pending.settled:
            self._dispatcher.endings.end(pending, error)

    def watch_slow(self, slow_s: float, on_slow: Callable[[SlowCall], None]) -> None:
        """Have `on_slow` told, on the loop, of each call that takes `slow_s` or more in its service."""
        ledger = self._dispatcher.ledger
        ledger.slow_us, ledger.on_slow = int(slow_s * 1e6), on_slow

    async def ping(self, limit_s: float = 5.0) -> tuple[float, ...]:
        """Have each worker show that it is there, all at once, and return the seconds until each did.

        Raises:
            TimeoutError: One did not answer within `limit_s`.
        """
        return await self._health.ping(limit_s)

    def statistics(self) -> PoolStatistics:
        """Return the pool as it stands."""
        return pool_statistics(
            self._dispatcher,
            name=self.name,
            kind=self.kind,
            worker_count=self.worker_count,
            spares_count=self._keeper.spares_count,
            fallback_reason=self._fallback_reason,
        )

    # -- for `open_pool` ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the workers; after an error none is left.

        Raises:
            OSError: This kind can't run here.
            ServiceUnavailable: The service could not be built.
        """
        try:
            await self._keeper.start_all()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.stop()
            raise

    def keepers(self) -> list[Callable[[], Any]]:
        """Return the async functions that must run beside the pool until it is stopped."""
        keepers: list[Callable[[], Any]] = [
            partial(self._keeper.keep, slot) for slot in self._dispatcher.slots
        ]
        if self.kind == "process":
            keepers.append(self._keeper.keep_spares)
        if self.kind != "inline":
            keepers.append(self._health.look)
        return keepers

    async def drain(self, limit_s: float) -> None:
        """Refuse new calls, and let those that wait and run be answered for at most `limit_s` seconds."""
        self._entrance.is_closed = True
        with anyio.move_on_after(limit_s):
            await self._dispatcher.ledger.until_idle()

    async def stop(self) -> None:
        """Fail the calls that remain with `PoolClosed` and see every worker end; calling again does nothing."""
        self._entrance.is_closed = True
        ledger = self._dispatcher.ledger
        waiting = self._dispatcher.waiting
        for pending in list(waiting):
            if not pending.settled:
                ledger.fail(pending, PoolClosed(f"{self.name} closed before this call ran"))
        waiting.clear()
        for slot in self._dispatcher.slots:
            for pending in list(slot.in_flight.values()):
                if not pending.settled:
                    self._dispatcher.endings.ask_to_stop(pending)
                    ledger.fail(pending, PoolClosed(f"{self.name} closed while this call ran"))
        await self._keeper.stop_all(self._settings.cancel_grace_s + self._settings.terminate_grace_s)

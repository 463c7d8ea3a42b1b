"""A pool of workers as its callers see it; one class for all kinds, which differ in their backend only."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import msgspec

from workers.admission import Admission
from workers.answers import Answer
from workers.body import Outcome
from workers.buffers import MAX_COUNT, Attachments, size_of
from workers.dispatcher import Dispatcher
from workers.errors import InvalidResult, PoolClosed, ServiceUnavailable, WorkerDied
from workers.frames import MAX_MESSAGE_BYTES
from workers.health import Health
from workers.keeper import Keeper
from workers.methods import Envelope
from workers.protocol import encoded_tail, encoder
from workers.settings import PRIORITIES
from workers.slots import load_of
from workers.statistics import PoolStatistics
from workers.watch import Watch
from workers.worker import Pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Sequence

    from workers.buffers import Input
    from workers.completion import Loop
    from workers.settings import Kind, Lane, PoolSettings, Priority
    from workers.slots import Slot
    from workers.worker import Backend

R = TypeVar("R")
OnProgress = Callable[[int, "int | None", str], None]
"""Takes what is done, the total if it is known, and a note."""


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
        self._loop = loop
        self._fallback_reason = fallback_reason
        self._admission = Admission(
            running={"short": self.worker_count, "scan": max(1, self.worker_count - 1)},
            max_waiting_count=settings.max_waiting_count,
            max_waiting_bytes=settings.max_waiting_bytes,
        )
        self._dispatcher = Dispatcher(
            loop, settings, self._admission, slots_count=self.worker_count, has_lanes=has_lanes
        )
        self._waiting = self._dispatcher.waiting
        self._slow = self._dispatcher.slow
        self._watch = Watch(self._dispatcher, loop, settings, backend.kind, name)
        self._keeper = Keeper(self._dispatcher, backend, settings, name=name)
        self._health = Health(self._dispatcher, settings, name=name)
        self._closing = False

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
    ) -> Any:
        """Have a worker run `method` and return its result; a `Body` must be closed by the caller.

        Calls of one `key` keep their order and never run on two workers at once. `fingerprint` says which calls
        are alike, so that one that proved slow starts in the scan lane next time. A cancelled wait interrupts an
        `idempotent` call; any other is taken back if it has not begun, and else goes on unheard.

        Raises:
            PoolSaturated: A bound is reached; nothing was queued; try again after `retry_after_s`.
            TaskTimedOut: `timeout_s` (the pool's default if None) went by, waiting included.
            WorkerDied: The worker ended during the call; repeat it if it is idempotent or had not `begun`.
            PoolClosed: The pool closes; the call did not run.
            ServiceUnavailable: Workers die as fast as they start.
            TaskFailed: The service raised an unexpected error.
            PortableError: What the service raised on purpose.
            TypeError, ValueError, OverflowError: `params` hold what MessagePack does not carry.
        """
        if fingerprint is not None and fingerprint in self._slow:
            lane = "scan"
        pending = self._submit(
            method,
            params,
            timeout_s,
            lane=lane,
            key=key,
            fingerprint=fingerprint,
            idempotent=idempotent,
            pinned=None,
        )
        try:
            return await pending.future
        except BaseException:
            if not pending.settled:
                self._dispatcher.abandon(pending)
            raise

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
        if len(buffers) > MAX_COUNT:
            raise ValueError(f"{len(buffers)} buffers; at most {MAX_COUNT} are allowed")
        encoded = encoder.encode(params)
        if len(encoded) > MAX_MESSAGE_BYTES:
            raise ValueError(f"parameters of {len(encoded)} bytes; at most {MAX_MESSAGE_BYTES}: send buffers")
        attachments = await self._attached(buffers) if buffers else None
        try:
            pending = self._pending_request(
                method, encoded, attachments, timeout_s, wants_progress=on_progress is not None
            )
            pending.priority = PRIORITIES.index(priority)
            pending.on_progress = on_progress
            pending.idempotent = idempotent
            if max_wait_s is not None:
                pending.begin_by = pending.submitted_at + max_wait_s
            self._admit(pending)
        except BaseException:
            if attachments is not None:
                attachments.close()
            raise
        try:
            outcome: Outcome | bytes = await pending.future
        except BaseException:
            if not pending.settled:
                self._dispatcher.abandon(pending)
            raise
        finally:
            if (
                attachments is not None and pending.released
            ):  # else a worker has it still: see `Ledger.release`
                attachments.close()
        return _checked(outcome, method, result)

    @asynccontextmanager
    async def session(self, *, lane: Lane = "scan") -> AsyncIterator[Session]:
        """Pin calls to one worker, whose service keeps state between them (a stream, say).

        Raises:
            ServiceUnavailable: No worker is alive.
        """
        alive = [slot for slot in self._dispatcher.slots if slot.worker is not None]
        if not alive:
            raise ServiceUnavailable(f"no worker of {self.name} is alive")
        if lane == "scan":
            alive = [slot for slot in alive if slot is not self._dispatcher.reserved] or alive
        slot = min(alive, key=lambda each: (each.session_count, load_of(each)))
        slot.session_count += 1
        try:
            yield Session(self._session_call, slot)
        finally:
            slot.session_count -= 1

    async def ping(self, limit_s: float = 5.0) -> tuple[float, ...]:
        """Have each worker show that it is there, and return the seconds that each took.

        Raises:
            TimeoutError: One did not answer within `limit_s`.
        """
        return await self._health.ping(limit_s)

    def statistics(self) -> PoolStatistics:
        """Return the pool as it stands."""
        slots, tally = self._dispatcher.slots, self._dispatcher.ledger.tally
        in_flight_count = sum(len(slot.in_flight) for slot in slots)
        return PoolStatistics(
            name=self.name,
            kind=self.kind,
            worker_count=self.worker_count,
            alive_count=sum(slot.worker is not None for slot in slots),
            busy_count=sum(bool(slot.in_flight) for slot in slots),
            waiting_count=self._admission.outstanding_count - in_flight_count,
            waiting_bytes=self._admission.held_bytes,
            in_flight_count=in_flight_count,
            completed_count=tally.completed_count,
            failed_count=tally.failed_count,
            timed_out_count=tally.timed_out_count,
            cancelled_count=tally.cancelled_count,
            demoted_count=tally.demoted_count,
            recalled_count=tally.recalled_count,
            interrupted_count=tally.interrupted_count,
            interrupt_us=tally.interrupt_us.frozen(),
            restarts_count=tally.restarts_count,
            recycled_count=tally.recycled_count,
            retired_count=tally.retired_count,
            unheard_count=tally.unheard_count,
            spares_count=self._keeper.spares_count,
            resident_bytes=sum(slot.resident_bytes for slot in slots),
            abandoned_count=tally.abandoned_count,
            rejected=dict(self._admission.rejected),
            wait_us=tally.wait_us.frozen(),
            run_us=tally.run_us.frozen(),
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
        self._closing = True
        with anyio.move_on_after(limit_s):
            await self._dispatcher.ledger.until_idle()

    async def stop(self) -> None:
        """Fail the calls that remain with `PoolClosed` and see every worker end; calling again does nothing."""
        self._closing = True
        ledger = self._dispatcher.ledger
        for pending in list(self._waiting):
            if not pending.settled:
                ledger.fail(pending, PoolClosed(f"{self.name} closed before this call ran"))
        self._waiting.clear()
        for slot in self._dispatcher.slots:
            for pending in list(slot.in_flight.values()):
                if not pending.settled:
                    self._dispatcher.ask_to_stop(pending)
                    ledger.fail(pending, PoolClosed(f"{self.name} closed while this call ran"))
        await self._keeper.stop_all(self._settings.cancel_grace_s + self._settings.terminate_grace_s)

    # -- the way in -----------------------------------------------------------------------------------------------

    def _submit(
        self,
        method: str,
        params: Any,
        timeout_s: float | None,
        *,
        lane: Lane,
        key: Hashable,
        fingerprint: Hashable,
        idempotent: bool,
        pinned: Slot | None,
    ) -> Pending:
        if self._closing:
            raise PoolClosed(f"{self.name} is closed")
        if self._dispatcher.ledger.tally.deaths_in_a_row_count:
            self._check_breaker()
        now = time.monotonic()
        deadline = now + (self._settings.default_timeout_s if timeout_s is None else timeout_s)
        tail = encoded_tail(
            method, params, deadline
        )  # before a place is taken: a bad argument costs nobody one
        self._admission.admit(lane, len(tail))
        pending = Pending(
            self._loop.create_future(),
            method,
            params,
            tail,
            lane,
            key,
            fingerprint,
            now,
            deadline,
            idempotent,
            pinned,
        )
        if lane == "short" and key is None and pinned is None:
            self._waiting.short.append(pending)
        else:
            self._waiting.add(pending)
        watch = self._watch
        watch.soonest_deadline = min(watch.soonest_deadline, deadline)
        if not watch.is_on:
            watch.start()
        self._dispatcher.pump_soon()
        return pending

    async def _attached(self, buffers: Sequence[Input]) -> Attachments:
        """Take the buffers of a request, or refuse them."""
        size_bytes = size_of(buffers)
        self._admission.hold(size_bytes)
        attachments = Attachments(size_bytes, self._admission.let_go)
        try:
            if self.kind == "process":
                await attachments.pack(buffers)
            else:
                attachments.share(buffers)
        except BaseException:
            attachments.close()
            raise
        return attachments

    def _pending_request(
        self,
        method: str,
        encoded: bytes,
        attachments: Attachments | None,
        timeout_s: float | None,
        *,
        wants_progress: bool,
    ) -> Pending:
        envelope = Envelope(encoded, attachments.items if attachments is not None else [], wants_progress)
        now = time.monotonic()
        deadline = now + (self._settings.default_timeout_s if timeout_s is None else timeout_s)
        tail = encoded_tail(method, envelope, deadline) if self.kind == "process" else encoded
        return Pending(
            self._loop.create_future(),
            method,
            envelope,
            tail,
            "short",
            None,
            None,
            now,
            deadline,
            False,
            None,
            attachments=attachments,
        )

    def _admit(self, pending: Pending) -> None:
        """Let a request wait for its turn, or refuse it; `_submit` does the same in line."""
        if self._closing:
            raise PoolClosed(f"{self.name} is closed")
        if self._dispatcher.ledger.tally.deaths_in_a_row_count:
            self._check_breaker()
        self._admission.admit(pending.lane, len(pending.tail))
        self._waiting.add(pending)
        watch = self._watch
        watch.soonest_deadline = min(watch.soonest_deadline, pending.begin_by or pending.deadline)
        if not watch.is_on:
            watch.start()
        self._dispatcher.pump_soon()

    def _check_breaker(self) -> None:
        deaths_count = self._dispatcher.ledger.tally.deaths_in_a_row_count
        if deaths_count >= self._settings.breaker_count and all(
            s.worker is None for s in self._dispatcher.slots
        ):
            raise ServiceUnavailable(
                f"the last {deaths_count} workers of {self.name} died without an answer; see the log"
            )

    async def _session_call(self, slot: Slot, method: str, params: Any, timeout_s: float | None) -> Any:
        pending = self._submit(
            method, params, timeout_s, lane="scan", key=None, fingerprint=None, idempotent=True, pinned=slot
        )
        try:
            return await pending.future
        except BaseException:
            if not pending.settled:
                self._dispatcher.abandon(pending)
            raise


class Session:
    """Calls that go to one worker, in order; made by `Pool.session`."""

    def __init__(self, call: Callable[[Slot, str, Any, float | None], Any], slot: Slot) -> None:
        self._call = call
        self._slot = slot
        self._worker = slot.worker

    async def call(self, method: str, params: Any = None, *, timeout_s: float | None = None) -> Any:
        """Have the session's worker run `method`; see `Pool.call`.

        Raises:
            WorkerDied: The worker of this session is gone, and what its service kept for it as well.
        """
        if self._slot.worker is not self._worker:
            raise WorkerDied("the worker of this session is gone", begun=False)
        return await self._call(self._slot, method, params, timeout_s)


def _checked(outcome: Outcome | bytes, method: str, result: type[R]) -> Answer[R]:
    encoded, bodies = (outcome, ()) if isinstance(outcome, bytes) else (outcome.value, outcome.buffers)
    try:
        return Answer(msgspec.msgpack.decode(encoded, type=result), tuple(bodies))
    except msgspec.MsgspecError as error:
        for body in bodies:
            body.close()
        raise InvalidResult(f"{method}: {error}") from None

"""Spreads calls over workers: bounds, lanes, deadlines, cancellation, recall, and what happens when a worker dies.

One pool serves all kinds; a kind is a backend that makes workers (`workers.backends`). Everything here runs on the
event loop's thread and never waits: calls collect during one turn of the loop, `_pump` hands them out in one batch
per worker, and a batch of replies comes back with one wake-up. The hop is the cost: a ThreadPoolExecutor, one hop a
call, did 10,000 point reads/s where batches do 37,000 (threads) and 95,000 (processes); 2 cores, 2026-11.

**No scan holds up a point read.** Worker 0 takes short calls only. Every 5 ms, while calls are out, the watch looks
at the page each worker shares: what waits behind a call that runs over `recall_after_s` is taken back and given to
others; a short call that runs over `demote_after_s` on worker 0 is interrupted and run again in the scan lane, and
its fingerprint starts there next time. Without this, one 2.4 s query on two workers delayed 100 of 300 point reads
by 2.4 s (2026-11).

**A worker's death** fails the call it ran, and no other that may be repeated: those not begun, and idempotent ones
whose reply was lost, are sent elsewhere.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import msgspec
import structlog

from workers.admission import Admission
from workers.errors import (
    PoolClosed,
    ServiceUnavailable,
    TaskCancelled,
    TaskFailed,
    TaskTimedOut,
    WorkerDied,
    restored,
)
from workers.protocol import CANCELLED, FAILED, FIRST, LAST, STARTED_NS, TIMED_OUT, Failure, encoded_tail
from workers.statistics import Histogram, PoolStatistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Iterable, Sequence

    from workers.completion import Loop
    from workers.protocol import Reply
    from workers.settings import Kind, Lane, PoolSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

WATCH_PERIOD_S = 0.005
"""How often running calls and deadlines are looked at, only while calls are out; so late a deadline may be."""
_SLOW_FINGERPRINTS_COUNT = 1_000
_QUICK_RUNS_TO_PARDON_COUNT = 8
_MAX_SENDS_COUNT = 4
_STALE_SLACK_COUNT = 1_024


class Pending(msgspec.Struct, eq=False):
    """A call that was admitted and not answered yet."""

    future: Any
    method: str
    params: Any
    tail: bytes
    lane: Lane
    key: Any
    fingerprint: Any
    submitted_at: float
    deadline: float
    idempotent: bool
    pinned: Slot | None
    slot: Slot | None = None
    """Where it is; None while it waits in the parent."""
    seq: int = 0
    sends_count: int = 0
    cancel_sent_at: float = 0.0
    demoting: bool = False
    settling: bool = False
    """Its deadline passed, and the worker is asked whether it had begun."""
    settled: bool = False
    """Its caller has an answer, or left."""
    released: bool = False
    """Its place is given back."""


class Worker(Protocol):
    """One worker as its pool sees it; all methods but `stop` return at once and run on the loop's thread."""

    page: Sequence[int]
    """See `protocol.FIRST`; memory that the worker writes while it runs."""
    is_batched: bool
    """Its service takes batches."""

    def send(self, calls: Sequence[Pending]) -> None:
        """Hand `calls`, whose `seq` is set, to the worker."""

    def cancel(self, seq: int) -> None:
        """Ask it to take back or interrupt `seq`."""

    def recall(self) -> None:
        """Ask for all calls that have not begun; they come through `Events.recalled`."""

    def terminate(self) -> None:
        """Stop it now, politely; a thread is told to end after what it runs."""

    def kill(self) -> bool:
        """Stop it now; False where that can't be done (a thread), which then counts as abandoned."""

    async def stop(self, limit_s: float) -> None:
        """Let it finish what runs, close its service, and see it end within `limit_s` and the kill that follows."""


class Events(Protocol):
    """What a worker tells its pool, on the loop's thread."""

    def replied(self, replies: Iterable[tuple[Reply, Any]]) -> None:
        """Calls were answered; each reply comes with its value (a body for a large one)."""

    def recalled(self, seqs: Sequence[int]) -> None:
        """These calls come back unbegun."""

    def died(self, reason: str) -> None:
        """The worker is gone and nothing more will come of it."""


class Backend(Protocol):
    """A kind of worker."""

    kind: Kind
    encodes: bool
    """Whether it sends encoded calls (`Pending.tail`) rather than the parameters themselves."""

    async def start(self, index: int, events: Events) -> Worker:
        """Start a worker and wait until its service is built.

        Raises:
            OSError: This kind can't run here; another may.
            ServiceUnavailable: The service could not be built.
        """


class Slot:
    """A place for a worker; the worker in it changes when one dies."""

    def __init__(self, pool: Pool, index: int) -> None:
        self._pool = pool
        self.index = index
        self.worker: Worker | None = None
        self.in_flight: dict[int, Pending] = {}
        self.outgoing: list[Pending] = []
        self.pinned: deque[Pending] = deque()
        self.next_seq = 1
        self.scan_count = 0
        self.session_count = 0
        self.slow = False
        self.recalled_first = 0
        self.stop_stage = 0
        self.stop_at = 0.0
        self.served_count = 0
        self.death_reason = ""
        self.gone = anyio.Event()

    def replied(self, replies: Iterable[tuple[Reply, Any]]) -> None:
        """See `Events`."""
        self._pool._on_replies(self, replies)

    def recalled(self, seqs: Sequence[int]) -> None:
        """See `Events`."""
        self._pool._on_recalled(self, seqs)

    def died(self, reason: str) -> None:
        """See `Events`."""
        self._pool._on_death(self, reason)


class Pool:
    """Workers that run one service; made by `open_pool`."""

    def __init__(
        self,
        backend: Backend,
        settings: PoolSettings,
        loop: Loop,
        *,
        name: str,
        fallback_reason: str | None,
        has_lanes: bool,
    ) -> None:
        self.name = name
        self.kind: Kind = backend.kind
        self.settings = settings
        self._backend = backend
        self._loop = loop
        self._fallback_reason = fallback_reason
        count = 1 if backend.kind == "inline" else settings.worker_count
        self._slots = [Slot(self, index) for index in range(count)]
        self._reserved = self._slots[0] if has_lanes and count > 1 else None
        self._admission = Admission(
            running={"short": count, "scan": max(1, count - 1)},
            max_waiting_count=settings.max_waiting_count,
            max_waiting_bytes=settings.max_waiting_bytes,
        )
        self._short: deque[Pending] = deque()
        self._scans: deque[Pending] = deque()
        self._keyed: OrderedDict[Hashable, deque[Pending]] = OrderedDict()
        self._key_owner: dict[Hashable, tuple[Slot, int]] = {}
        self._next_deadline = math.inf
        self._next_scan_at = 0.0
        self._slow_fingerprints: OrderedDict[Hashable, int] = OrderedDict()
        self._stale_count = 0
        self._round = 0
        self._pump_is_due = False
        self._watching = False
        self._watched_at = 0.0
        self._watched_completed_count = 0
        self._closing = False
        self._closed = False
        self._idle: anyio.Event | None = None
        self._deaths_in_a_row_count = 0
        self._wait_us = Histogram()
        self._run_us = Histogram()
        self._interrupt_us = Histogram()
        self._completed_count = 0
        self._failed_count = 0
        self._timed_out_count = 0
        self._cancelled_count = 0
        self._demoted_count = 0
        self._recalled_count = 0
        self._interrupted_count = 0
        self._restarts_count = 0
        self._abandoned_count = 0

    # -- for callers ----------------------------------------------------------------------------------------------

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
        pending = self._submit(method, params, lane, key, fingerprint, timeout_s, idempotent, None)
        try:
            return await pending.future
        except BaseException:
            if not pending.settled:
                self._abandon(pending)
            raise

    @asynccontextmanager
    async def session(self, *, lane: Lane = "scan") -> AsyncIterator[Session]:
        """Pin calls to one worker, whose service keeps state between them (a stream, say).

        Raises:
            ServiceUnavailable: No worker is alive.
        """
        slots = [slot for slot in self._slots if slot.worker is not None]
        if not slots:
            raise ServiceUnavailable(f"no worker of {self.name} is alive")
        if lane == "scan":
            slots = [slot for slot in slots if slot is not self._reserved] or slots
        slot = min(slots, key=lambda each: (each.session_count, len(each.in_flight)))
        slot.session_count += 1
        try:
            yield Session(self, slot)
        finally:
            slot.session_count -= 1

    def statistics(self) -> PoolStatistics:
        """Return the pool as it stands."""
        at_workers = sum(len(slot.in_flight) for slot in self._slots)
        return PoolStatistics(
            name=self.name,
            kind=self.kind,
            worker_count=len(self._slots),
            alive_count=sum(slot.worker is not None for slot in self._slots),
            busy_count=sum(bool(slot.in_flight) for slot in self._slots),
            waiting_count=max(0, self._admission.outstanding_count - at_workers),
            waiting_bytes=self._admission.held_bytes,
            in_flight_count=at_workers,
            completed_count=self._completed_count,
            failed_count=self._failed_count,
            timed_out_count=self._timed_out_count,
            cancelled_count=self._cancelled_count,
            demoted_count=self._demoted_count,
            recalled_count=self._recalled_count,
            interrupted_count=self._interrupted_count,
            interrupt_us=self._interrupt_us.frozen(),
            restarts_count=self._restarts_count,
            abandoned_count=self._abandoned_count,
            rejected=dict(self._admission.rejected),
            wait_us=self._wait_us.frozen(),
            run_us=self._run_us.frozen(),
            fallback_reason=self._fallback_reason,
        )

    # -- submitting -----------------------------------------------------------------------------------------------

    def _submit(
        self,
        method: str,
        params: Any,
        lane: Lane,
        key: Hashable,
        fingerprint: Hashable,
        timeout_s: float | None,
        idempotent: bool,
        pinned: Slot | None,
    ) -> Pending:
        if self._closing:
            raise PoolClosed(f"{self.name} is closed")
        if self._deaths_in_a_row_count >= self.settings.breaker_count and not any(
            s.worker for s in self._slots
        ):
            raise ServiceUnavailable(
                f"the last {self._deaths_in_a_row_count} workers of {self.name} died without an answer; see the log"
            )
        if fingerprint is not None and fingerprint in self._slow_fingerprints:
            lane = "scan"
        now = time.monotonic()
        deadline = now + (self.settings.default_timeout_s if timeout_s is None else timeout_s)
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
            self._short.append(pending)
        else:
            self._enqueue(pending)
        if deadline < self._next_deadline:
            self._next_deadline = deadline
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)
        if not self._watching:
            self._watch_soon()
        return pending

    def _enqueue(self, pending: Pending) -> None:
        if pending.pinned is not None:
            pending.pinned.pinned.append(pending)
        elif pending.key is not None:
            queue = self._keyed.get(pending.key)
            if queue is None:
                queue = self._keyed[pending.key] = deque()
            queue.append(pending)
        else:
            self._scans.append(pending)

    def _enqueue_first(self, returned: Sequence[Pending]) -> None:
        """Put calls that came back, given in order, before those that wait."""
        for pending in reversed(returned):
            if pending.key is not None:
                self._keyed.setdefault(pending.key, deque()).appendleft(pending)
            elif pending.lane == "short":
                self._short.appendleft(pending)
            else:
                self._scans.appendleft(pending)

    # -- handing out ----------------------------------------------------------------------------------------------

    def _pump_soon(self) -> None:
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        window = self.settings.window_count
        for slot in self._slots:
            while slot.pinned and slot.worker is not None and len(slot.in_flight) < window:
                self._assign(slot, slot.pinned.popleft())
        if self._keyed:
            self._pump_keyed(window)
        if self._scans:
            self._pump_scans(window)
        if self._short:
            self._pump_short(window)
        for slot in self._slots:
            if slot.outgoing:
                batch, slot.outgoing = slot.outgoing, []
                if slot.worker is not None:
                    slot.worker.send(batch)

    def _pump_short(self, window: int) -> None:
        waiting = self._short
        open_slots = [
            slot
            for slot in self._slots
            if slot.worker is not None
            and not slot.scan_count
            and not slot.slow
            and not slot.stop_stage
            and len(slot.in_flight) < window
        ]
        while waiting and open_slots:
            if self.settings.balance == "round-robin":
                self._round += 1
                slot, share = open_slots[self._round % len(open_slots)], 1
            else:
                slot = min(open_slots, key=_load)
                share = max(1, len(waiting) // len(open_slots))
            in_flight, outgoing, seq = slot.in_flight, slot.outgoing, slot.next_seq
            for _ in range(min(share, window - len(in_flight))):
                pending = waiting.popleft()
                if pending.settled:
                    self._stale_count -= 1
                    continue
                pending.seq = seq
                pending.slot = slot
                pending.sends_count += 1
                in_flight[seq] = pending
                outgoing.append(pending)
                seq += 1
            slot.next_seq = seq
            if len(slot.in_flight) >= window:
                open_slots.remove(slot)

    def _pump_scans(self, window: int) -> None:
        waiting = self._scans
        open_slots = [
            slot
            for slot in self._slots
            if slot is not self._reserved
            and slot.worker is not None
            and not slot.scan_count
            and not slot.slow
            and not slot.stop_stage
            and len(slot.in_flight) < window
        ]
        open_slots.sort(key=_load)
        for slot in open_slots:
            while waiting and not slot.scan_count:
                self._assign(slot, waiting.popleft())

    def _pump_keyed(self, window: int) -> None:
        for key in list(self._keyed):
            waiting = self._keyed[key]
            owner = self._key_owner.get(key)
            if owner is not None:
                slot = owner[0]
            else:
                free = [slot for slot in self._slots if slot.worker is not None and not slot.stop_stage]
                if not free:
                    return
                slot = min(free, key=_load)
            while waiting and slot.worker is not None and len(slot.in_flight) < window:
                self._assign(slot, waiting.popleft())
            if waiting:
                self._keyed.move_to_end(key)
            else:
                del self._keyed[key]

    def _assign(self, slot: Slot, pending: Pending) -> None:
        if pending.settled:  # cancelled or expired while it waited
            self._stale_count -= 1
            return
        pending.seq = slot.next_seq
        slot.next_seq += 1
        pending.slot = slot
        pending.sends_count += 1
        slot.in_flight[pending.seq] = pending
        slot.outgoing.append(pending)
        if pending.lane == "scan" and pending.pinned is None:
            slot.scan_count += 1
        if pending.key is not None:
            owner = self._key_owner.get(pending.key)
            self._key_owner[pending.key] = (slot, 1 if owner is None else owner[1] + 1)

    def _unassign(self, slot: Slot, pending: Pending) -> None:
        pending.slot = None
        if pending.lane == "scan" and pending.pinned is None:
            slot.scan_count -= 1
        if pending.key is not None:
            owner, count = self._key_owner[pending.key]
            if count == 1:
                del self._key_owner[pending.key]
            else:
                self._key_owner[pending.key] = (owner, count - 1)

    # -- answers --------------------------------------------------------------------------------------------------

    def _on_replies(self, slot: Slot, replies: Iterable[tuple[Reply, Any]]) -> None:
        now = time.monotonic()
        admission = self._admission
        in_flight = slot.in_flight
        run_counts, wait_counts = self._run_us.counts, self._wait_us.counts
        run_total_us = wait_total_us = completed_count = 0
        for reply, value in replies:
            pending = in_flight.pop(reply.seq, None)
            if pending is None:
                continue
            if (
                pending.lane != "short"
                or pending.key is not None
                or pending.settled
                or pending.cancel_sent_at
                or type(reply) is Failure
            ):
                self._on_reply(slot, pending, reply, value, now)
                continue
            pending.slot = None
            pending.settled = pending.released = True
            admission.release("short", len(pending.tail))
            run_us = reply.run_us
            wait_us = int((now - pending.submitted_at) * 1e6) - run_us
            run_counts[run_us.bit_length()] += 1
            wait_counts[wait_us.bit_length()] += 1
            run_total_us += run_us
            wait_total_us += wait_us
            completed_count += 1
            future = pending.future
            if not future.done():
                future.set_result(value)
            elif hasattr(value, "close"):
                value.close()
        self._run_us.total_us += run_total_us
        self._wait_us.total_us += wait_total_us
        self._completed_count += completed_count
        if self._idle is not None and not admission.outstanding_count:
            self._idle.set()
        slot.slow = False
        slot.served_count += 1
        slot.recalled_first = 0
        self._deaths_in_a_row_count = 0
        if self._short or self._scans or self._keyed or slot.pinned:
            self._pump_soon()

    def _on_reply(self, slot: Slot, pending: Pending, reply: Reply, value: Any, now: float) -> None:
        """Take any reply; the common kind takes the short way in `_on_replies`."""
        self._unassign(slot, pending)
        self._note_run(pending, reply.run_us, now)
        if pending.settled:
            if hasattr(value, "close"):
                value.close()
            self._release(pending)
        elif isinstance(reply, Failure):
            if pending.demoting and reply.name != TIMED_OUT:
                self._run_again_as_scan(pending)
            else:
                self._fail(pending, self._error_of(pending, reply))
        else:
            self._wait_us.add(max(0, int((now - pending.submitted_at) * 1e6) - reply.run_us))
            self._completed_count += 1
            self._settle(pending)
            if not pending.future.done():
                pending.future.set_result(value)
            elif hasattr(value, "close"):
                value.close()

    def _note_run(self, pending: Pending, run_us: int, now: float) -> None:
        self._run_us.add(run_us)
        if pending.cancel_sent_at:
            self._interrupted_count += 1
            self._interrupt_us.add(int((now - pending.cancel_sent_at) * 1e6))
        elif pending.lane == "scan" and pending.fingerprint in self._slow_fingerprints:
            self._pardon(pending.fingerprint, run_us)

    def _pardon(self, fingerprint: Hashable, run_us: int) -> None:
        """Let calls of `fingerprint` start in the short lane again after some quick runs in a row."""
        if run_us > self.settings.demote_after_s * 1e6 / 2:
            self._slow_fingerprints[fingerprint] = 0
            return
        self._slow_fingerprints[fingerprint] += 1
        if self._slow_fingerprints[fingerprint] >= _QUICK_RUNS_TO_PARDON_COUNT:
            del self._slow_fingerprints[fingerprint]

    def _error_of(self, pending: Pending, failure: Failure) -> Exception:
        if failure.name == TIMED_OUT:
            return TaskTimedOut(failure.message, begun=False)
        if failure.name == CANCELLED:
            if pending.settling:
                return TaskTimedOut("the deadline passed before it ran", begun=False)
            return TaskCancelled(failure.message)
        if failure.name == FAILED:
            return TaskFailed(failure.message)
        return restored(failure.name, failure.message, failure.details)

    def _fail(self, pending: Pending, error: Exception) -> None:
        if isinstance(error, TaskTimedOut):
            self._timed_out_count += 1
        else:
            self._failed_count += 1
        self._settle(pending)
        if not pending.future.done():
            pending.future.set_exception(error)

    def _settle(self, pending: Pending) -> None:
        """Take note that the caller has its answer."""
        pending.settled = True
        if pending.slot is None:
            self._release(pending)

    def _release(self, pending: Pending) -> None:
        """Give the place of a call back once it is at no worker."""
        if pending.released:
            return
        pending.released = True
        self._admission.release(pending.lane, len(pending.tail))
        pending.params = None
        if self._idle is not None and not self._admission.outstanding_count:
            self._idle.set()

    def _on_recalled(self, slot: Slot, seqs: Sequence[int]) -> None:
        returned = []
        for seq in seqs:
            pending = slot.in_flight.pop(seq, None)
            if pending is None:
                continue
            self._unassign(slot, pending)
            if pending.settled:
                self._release(pending)
            elif pending.pinned is not None:
                slot.pinned.appendleft(pending)
            else:
                returned.append(pending)
        self._recalled_count += len(returned)
        self._enqueue_first(returned)
        self._pump_soon()

    def _run_again_as_scan(self, pending: Pending) -> None:
        pending.demoting = False
        pending.cancel_sent_at = 0.0
        self._change_to_scan(pending)
        self._scans.append(pending)
        self._pump_soon()

    def _change_to_scan(self, pending: Pending) -> None:
        self._admission.moved(pending.lane, "scan")
        pending.lane = "scan"

    # -- giving up ------------------------------------------------------------------------------------------------

    def _abandon(self, pending: Pending) -> None:
        """The caller does not wait any more."""
        self._cancelled_count += 1
        if pending.slot is None:
            self._stale_count += 1
            self._settle(pending)
            self._drop_stale()
        else:
            pending.settled = True
            self._ask_to_stop(pending)

    def _ask_to_stop(self, pending: Pending) -> None:
        slot = pending.slot
        if slot is None or slot.worker is None:
            return
        if not pending.cancel_sent_at:
            pending.cancel_sent_at = time.monotonic()
        if pending in slot.outgoing:
            return  # sent in this turn; the watch asks again
        slot.worker.cancel(pending.seq)

    def _expire(self, pending: Pending, now: float) -> None:
        if pending.slot is None:
            self._stale_count += 1
            self._fail(pending, TaskTimedOut("the deadline passed before it ran", begun=False))
            self._drop_stale()
        elif pending.idempotent:
            self._ask_to_stop(pending)
            self._fail(pending, TaskTimedOut("the deadline passed while it ran", begun=True))
        elif pending.settling:
            self._fail(
                pending, TaskTimedOut("the deadline passed, and the worker does not answer", begun=True)
            )
        else:
            pending.settling = True
            self._ask_to_stop(pending)
            pending.deadline = now + self.settings.settle_s

    def _drop_stale(self) -> None:
        """Keep calls that were given up while they waited from filling the queues."""
        if self._stale_count <= _STALE_SLACK_COUNT:
            return
        self._stale_count = 0
        for queue in (
            self._short,
            self._scans,
            *self._keyed.values(),
            *(slot.pinned for slot in self._slots),
        ):
            live = [pending for pending in queue if not pending.settled]
            queue.clear()
            queue.extend(live)

    # -- the watch ------------------------------------------------------------------------------------------------

    def _watch_soon(self) -> None:
        self._watching = True
        self._loop.call_later(WATCH_PERIOD_S, self._watch)

    def _watch(self) -> None:
        now = time.monotonic()
        if now >= self._next_deadline and now >= self._next_scan_at:
            self._expire_all(now)
        outstanding = self._admission.outstanding_count
        for slot in self._slots:
            if slot.in_flight and slot.worker is not None:
                self._look_at(slot, slot.worker, now)
        self._admission.observe_rate(
            self._completed_count - self._watched_completed_count, now - self._watched_at
        )
        self._watched_at, self._watched_completed_count = now, self._completed_count
        if outstanding or any(slot.in_flight for slot in self._slots):
            self._watch_soon()
        else:
            self._watching = False
            self._next_deadline = math.inf

    def _expire_all(self, now: float) -> None:
        """Look through all calls for those past their deadline, and find the next one.

        One comparison a call and a scan when the earliest deadline comes is cheaper than a heap (1.3 of 10 us a call,
        2026-11): most calls are answered long before. A scan may take a tenth of the time at most.
        """
        soonest = math.inf
        for pending in self._outstanding():
            if pending.settled:
                continue
            if pending.deadline <= now:
                self._expire(pending, now)
            if not pending.settled and pending.deadline < soonest:
                soonest = pending.deadline
        self._next_deadline = soonest
        self._next_scan_at = now + 10 * (time.monotonic() - now)

    def _outstanding(self) -> list[Pending]:
        waiting = (self._short, self._scans, *self._keyed.values(), *(slot.pinned for slot in self._slots))
        found = [pending for queue in waiting for pending in queue]
        for slot in self._slots:
            found += slot.in_flight.values()
        return found

    def _look_at(self, slot: Slot, worker: Worker, now: float) -> None:
        if slot.stop_stage:
            self._stop_further(slot, worker, now)
            return
        page = worker.page
        first, started_ns = page[FIRST], page[STARTED_NS]
        if not first or page[FIRST] != first:
            return
        ran_s = now - started_ns * 1e-9
        pending = slot.in_flight.get(first)
        if pending is not None and pending.cancel_sent_at:
            if pending.idempotent and now - pending.cancel_sent_at > self.settings.cancel_grace_s:
                self._stop_further(slot, worker, now)
            else:
                worker.cancel(first)  # again: an interrupt between two statements is lost
            return
        if ran_s > self.settings.max_run_s:
            self._stop_further(slot, worker, now)
            return
        if ran_s < self.settings.recall_after_s or self.kind == "inline":
            return
        if not worker.is_batched:
            slot.slow = True
            if len(slot.in_flight) > 1 and slot.recalled_first != first:
                slot.recalled_first = first
                worker.recall()
        if (
            pending is not None
            and ran_s >= self.settings.demote_after_s
            and pending.lane == "short"
            and pending.idempotent
            and pending.pinned is None
            and self._reserved is not None
        ):
            self._demote(slot, pending)

    def _demote(self, slot: Slot, pending: Pending) -> None:
        self._demoted_count += 1
        if pending.fingerprint is not None:
            self._slow_fingerprints[pending.fingerprint] = 0
            if len(self._slow_fingerprints) > _SLOW_FINGERPRINTS_COUNT:
                self._slow_fingerprints.popitem(last=False)
        if slot is self._reserved:
            pending.demoting = True
            self._ask_to_stop(pending)
        else:  # it is where scans run: let it go on as one
            self._change_to_scan(pending)
            slot.scan_count += 1

    def _stop_further(self, slot: Slot, worker: Worker, now: float) -> None:
        """Climb the ladder: told to stop, SIGTERM, SIGKILL; nothing more is sent to a worker that is on it."""
        if slot.stop_stage == 0:
            slot.stop_stage, slot.stop_at = 1, now
            _log.warning("workers.stop_forced", pool=self.name, worker=slot.index, step="terminate")
            self._take_back(slot, worker)
            worker.terminate()
        elif slot.stop_stage == 1 and now - slot.stop_at > self.settings.terminate_grace_s:
            slot.stop_stage, slot.stop_at = 2, now
            _log.warning("workers.stop_forced", pool=self.name, worker=slot.index, step="kill")
            if not worker.kill():
                self._abandoned_count += 1

    def _take_back(self, slot: Slot, worker: Worker) -> None:
        if not worker.is_batched and len(slot.in_flight) > 1:
            worker.recall()

    # -- life and death of workers --------------------------------------------------------------------------------

    def _on_death(self, slot: Slot, reason: str) -> None:
        worker = slot.worker
        if worker is None:
            return
        slot.worker = None
        slot.slow = False
        slot.stop_stage = 0
        slot.outgoing.clear()
        if not slot.served_count:
            self._deaths_in_a_row_count += 1
        slot.served_count = 0
        slot.death_reason = reason
        running, begun = worker.page[FIRST], worker.page[LAST]
        lost, slot.in_flight = slot.in_flight, {}
        returned: list[Pending] = []
        for seq, pending in lost.items():
            self._unassign(slot, pending)
            if pending.settled:
                self._release(pending)
                continue
            has_begun = seq <= begun
            ran = bool(running) and running <= seq <= begun
            repeatable = not has_begun or (pending.idempotent and not ran)
            if not repeatable or pending.pinned is not None or pending.sends_count >= _MAX_SENDS_COUNT:
                self._fail(pending, WorkerDied(f"the worker {reason} during this call", begun=has_begun))
            else:
                pending.cancel_sent_at, pending.demoting = 0.0, False
                returned.append(pending)
        for pending in slot.pinned:
            if not pending.settled:
                self._fail(pending, WorkerDied(f"the worker of this session {reason}", begun=False))
        slot.pinned.clear()
        slot.scan_count = 0
        self._enqueue_first(returned)
        slot.gone.set()
        self._pump_soon()

    async def start_workers(self) -> None:
        """Start the first worker of each slot, side by side.

        Raises:
            OSError: This kind can't run here.
            ServiceUnavailable: The service could not be built.
        """
        errors: list[Exception] = []

        async def start(slot: Slot) -> None:
            try:
                slot.worker = await self._backend.start(slot.index, slot)
            except (OSError, ServiceUnavailable) as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            for slot in self._slots:
                group.start_soon(start, slot)
        if errors:
            await self.stop()
            raise errors[0]
        self._pump_soon()

    async def keep_alive(self, slot_index: int) -> None:
        """Replace the worker of a slot whenever it dies, at once and then with a doubling delay; runs for ever."""
        slot = self._slots[slot_index]
        failures_count = 0
        while True:
            await slot.gone.wait()
            slot.gone = anyio.Event()
            self._restarts_count += 1
            failures_count = 0 if self._deaths_in_a_row_count == 0 else failures_count + 1
            delay_s = (
                min(0.05 * 2**failures_count, self.settings.max_restart_delay_s) if failures_count else 0.0
            )
            _log.warning(
                "workers.worker_died",
                pool=self.name,
                worker=slot.index,
                reason=slot.death_reason,
                restart_in_s=delay_s,
            )
            while True:
                await anyio.sleep(delay_s)
                try:
                    slot.worker = await self._backend.start(slot.index, slot)
                except (OSError, ServiceUnavailable) as error:
                    self._deaths_in_a_row_count += 1
                    failures_count += 1
                    delay_s = min(0.05 * 2**failures_count, self.settings.max_restart_delay_s)
                    _log.warning(
                        "workers.start_failed",
                        pool=self.name,
                        worker=slot.index,
                        reason=str(error),
                        retry_in_s=delay_s,
                    )
                else:
                    break
            self._pump_soon()

    async def drain(self, limit_s: float) -> None:
        """Refuse new calls, and let those that wait and run be answered for at most `limit_s` seconds."""
        self._closing = True
        if self._admission.outstanding_count:
            self._idle = anyio.Event()
            with anyio.move_on_after(limit_s):
                await self._idle.wait()

    async def stop(self) -> None:
        """Fail the calls that remain with `PoolClosed` and see every worker end; calling again does nothing."""
        self._closing = True
        for queue in (
            self._short,
            self._scans,
            *self._keyed.values(),
            *(slot.pinned for slot in self._slots),
        ):
            for pending in queue:
                if not pending.settled:
                    self._fail(pending, PoolClosed(f"{self.name} closed before this call ran"))
            queue.clear()
        for slot in self._slots:
            for pending in list(slot.in_flight.values()):
                if not pending.settled:
                    self._ask_to_stop(pending)
                    self._fail(pending, PoolClosed(f"{self.name} closed while this call ran"))
        limit_s = self.settings.cancel_grace_s + self.settings.terminate_grace_s
        async with anyio.create_task_group() as group:
            for slot in self._slots:
                worker, slot.worker = slot.worker, None
                if worker is not None:
                    group.start_soon(worker.stop, limit_s)


class Session:
    """Calls that go to one worker, in order; made by `Pool.session`."""

    def __init__(self, pool: Pool, slot: Slot) -> None:
        self._pool = pool
        self._slot = slot
        self._worker = slot.worker

    async def call(self, method: str, params: Any = None, *, timeout_s: float | None = None) -> Any:
        """Have the session's worker run `method`; see `Pool.call`.

        Raises:
            WorkerDied: The worker of this session is gone, and what its service kept for it as well.
        """
        if self._slot.worker is not self._worker:
            raise WorkerDied("the worker of this session is gone", begun=False)
        pending = self._pool._submit(method, params, "scan", None, None, timeout_s, True, self._slot)
        try:
            return await pending.future
        except BaseException:
            if not pending.settled:
                self._pool._abandon(pending)
            raise


def _load(slot: Slot) -> int:
    return len(slot.in_flight)

"""Moves calls between those who wait, the workers, and their callers' futures; on the loop's thread, never waiting.

Calls collect during one turn of the loop and leave in one batch per worker; a batch of replies comes back with one
wake-up. The hop is the cost: a ThreadPoolExecutor, one hop a call, did 10,000 point reads/s where batches do 37,000
(threads) and 95,000 (processes); 2 cores, 2026-11.

**A worker's death** fails the call it ran, and no other that may be repeated: those not begun, and idempotent ones
whose reply was lost, are sent elsewhere.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import structlog

from workers.body import Body, Outcome, discard
from workers.errors import TaskCancelled, TaskFailed, TaskTimedOut, WorkerDied, restored
from workers.fingerprints import SlowFingerprints
from workers.handing_out import HandingOut
from workers.ledger import Ledger
from workers.protocol import (
    FAILED,
    FIRST,
    LAST,
    TIMED_OUT,
    Failure,
    LargeResponse,
    Parcel,
    SmallBody,
)
from workers.slots import Slot
from workers.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from workers.admission import Admission
    from workers.completion import Loop
    from workers.protocol import Progress, Reply
    from workers.settings import PoolSettings
    from workers.worker import Pending, Worker

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

MAX_SENDS_COUNT = 4
"""How often a call may be sent, when the workers that had it keep dying before it begins."""


class Dispatcher:
    """The calls of one pool and where they are."""

    def __init__(
        self, loop: Loop, settings: PoolSettings, admission: Admission, *, slots_count: int, has_lanes: bool
    ) -> None:
        self.slots = [Slot(index) for index in range(slots_count)]
        self.reserved = self.slots[0] if has_lanes and slots_count > 1 else None
        self.waiting = Waiting(self.slots)
        self.ledger = Ledger(admission)
        self.slow = SlowFingerprints(settings.demote_after_s * 1e6)
        self._loop = loop
        self._handing_out = HandingOut(
            self.slots,
            self.waiting,
            reserved=self.reserved,
            window_count=settings.window_count,
            request_window_count=settings.request_window_count,
            balance=settings.balance,
        )
        self._pump_is_due = False
        self._refresh_after_count = settings.recycle_after_count or sys.maxsize
        self.dormant_count = 0

    def pump_soon(self) -> None:
        """Hand out what waits at the end of this turn of the loop."""
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        self._handing_out.run()
        for slot in self.slots:
            if slot.outgoing:
                batch, slot.outgoing = slot.outgoing, []
                if slot.next_seq >= slot.refresh_at_seq:
                    slot.refresh_at_seq = sys.maxsize
                    slot.ask("refresh")
                has_requests, slot.has_requests = slot.has_requests, False
                if slot.worker is None:
                    continue
                if has_requests:
                    slot.worker.send_requests(batch)
                else:
                    slot.worker.send(batch)

    # -- what callers do ------------------------------------------------------------------------------------------

    def abandon(self, pending: Pending) -> None:
        """Stop a call whose caller does not wait any more."""
        self.ledger.tally.cancelled_count += 1
        if pending.slot is None:
            self.ledger.settle(pending)
            self.waiting.became_stale()
        else:
            pending.settled = True
            self.ask_to_stop(pending)

    def expire(self, pending: Pending, now: float, settle_s: float) -> None:
        """Answer a call whose deadline passed; one that may have had an effect waits `settle_s` for the truth."""
        if pending.slot is None:
            self.ledger.fail(pending, TaskTimedOut("the deadline passed before it ran", begun=False))
            self.waiting.became_stale()
        elif pending.idempotent:
            self.ask_to_stop(pending)
            self.ledger.fail(pending, TaskTimedOut("the deadline passed while it ran", begun=True))
        elif pending.settling:
            self.ledger.fail(
                pending, TaskTimedOut("the deadline passed, and the worker does not answer", begun=True)
            )
        else:
            pending.settling = True
            pending.deadline = now + settle_s
            self.ask_to_stop(pending)

    def expire_unbegun(self, pending: Pending, now: float, settle_s: float) -> None:
        """Answer a call that has waited too long to begin; one that has begun just goes on."""
        pending.begin_by = 0.0
        slot = pending.slot
        if slot is None:
            self.ledger.fail(pending, TaskTimedOut("it waited too long to begin", begun=False))
            self.waiting.became_stale()
        elif slot.worker is not None and pending.seq > slot.worker.page[LAST]:
            pending.settling = True  # it may begin just now: the worker knows
            pending.deadline = now + settle_s
            self.ask_to_stop(pending)

    def ask_to_stop(self, pending: Pending) -> None:
        """Tell the worker of a call to take it back or interrupt it; the watch asks again while it runs."""
        slot = pending.slot
        if slot is None or slot.worker is None:
            return
        if not pending.cancel_sent_at:
            pending.cancel_sent_at = time.monotonic()
        if pending not in slot.outgoing:
            slot.worker.cancel(pending.seq)

    # -- what workers say -----------------------------------------------------------------------------------------

    def events(self) -> SlotEvents:
        """Return what a new worker speaks to; it has no slot yet."""
        return SlotEvents(self)

    def install(self, slot: Slot, worker: Worker, events: SlotEvents) -> None:
        """Put a worker into a slot, whose calls it gets from now on; the one that was there is not heard any more."""
        if slot.events is not None:
            slot.events.slot = None
        slot.events, slot.worker, events.slot = events, worker, slot
        if slot.is_dormant:
            slot.is_dormant = False
            self.dormant_count -= 1
        slot.idle_since = slot.ponged_at = time.monotonic()
        slot.pinged_at, slot.resident_bytes = 0.0, 0
        self.plan_refresh(slot)
        self.pump_soon()

    def plan_refresh(self, slot: Slot) -> None:
        """Count anew the calls after which the worker of `slot` is replaced."""
        slot.refresh_at_seq = slot.next_seq + self._refresh_after_count

    def rest(self, slot: Slot) -> None:
        """Take the worker, if any, out of a slot that is not needed now."""
        if slot.events is not None:
            slot.events.slot = None
        slot.events = slot.worker = None
        slot.is_dormant = True
        self.dormant_count += 1

    def wake_one(self) -> None:
        """Ask for one more worker, if there may be one and some call has to wait for another."""
        if self.waiting or any(len(slot.in_flight) > 1 for slot in self.slots):
            for slot in self.slots:
                if slot.is_dormant and not slot.need:
                    slot.ask("wake")
                    return

    def on_pong(self, slot: Slot, resident_bytes: int) -> None:
        """Take note that a worker is there."""
        slot.pinged_at, slot.ponged_at = 0.0, time.monotonic()
        slot.resident_bytes = resident_bytes
        slot.ponged.set()

    def on_replies(self, slot: Slot, replies: Iterable[Reply], file_of: Callable[[], int]) -> None:
        """Give callers their answers; `file_of` gives the next descriptor that came with large ones."""
        now = time.monotonic()
        for pending, reply in self.ledger.take_common(slot.in_flight, replies, now):
            try:
                value = _value_of(reply, file_of)
            except LookupError:
                value = None
                reply = Failure(reply.seq, reply.run_us, FAILED, "the answer came without its file", {})  # noqa: PLW2901
            if pending is None:
                discard(value)
            else:
                self._on_uncommon(slot, pending, reply, value, now)
        slot.slow = False
        slot.recalled_first = 0
        slot.served_count += 1
        self.ledger.tally.deaths_in_a_row_count = 0
        if slot.is_draining and not slot.in_flight:
            slot.drained.set()
        if self.waiting or slot.pinned:
            self.pump_soon()

    def on_recalled(self, slot: Slot, seqs: Sequence[int]) -> None:
        """Let calls that came back unbegun wait again, first in line."""
        returned = []
        for seq in seqs:
            pending = slot.in_flight.pop(seq, None)
            if pending is None:
                continue
            self._unassign(slot, pending)
            if pending.settled:
                self.ledger.release(pending)
            else:
                returned.append(pending)
        if slot.is_draining and not slot.in_flight:
            slot.drained.set()
        self.ledger.tally.recalled_count += len(returned)
        self.waiting.add_first(returned)
        self.pump_soon()

    def on_progress(self, slot: Slot, progress: Progress) -> None:
        """Tell the caller of a call how far it is."""
        pending = slot.in_flight.get(progress.seq)
        if pending is None or pending.settled or pending.on_progress is None:
            return
        try:
            pending.on_progress(progress.done, progress.total, progress.note)
        except Exception as error:  # noqa: BLE001 - the border: a caller's own function may raise anything
            pending.on_progress = None
            _log.error("workers.progress_refused", method=pending.method, reason=repr(error))

    def on_death(self, slot: Slot, reason: str) -> None:
        """Fail what the worker ran, send the rest elsewhere, and leave the slot to whoever keeps it alive."""
        worker = slot.worker
        if worker is None:
            return
        slot.events = None
        running, begun = worker.page[FIRST], worker.page[LAST]
        slot.worker = None
        slot.slow = False
        slot.stop_stage = 0
        slot.death_reason = reason
        slot.outgoing.clear()
        if not slot.served_count:
            self.ledger.tally.deaths_in_a_row_count += 1
        slot.served_count = 0
        lost, slot.in_flight = slot.in_flight, {}
        returned: list[Pending] = []
        for seq, pending in lost.items():
            self._unassign(slot, pending)
            has_begun = seq <= begun
            ran = bool(running) and running <= seq <= begun
            is_repeatable = not has_begun or (pending.idempotent and not ran)
            if pending.settled:
                self.ledger.release(pending)
            elif is_repeatable and pending.pinned is None and pending.sends_count < MAX_SENDS_COUNT:
                pending.cancel_sent_at, pending.demoting = 0.0, False
                returned.append(pending)
            else:
                self.ledger.fail(
                    pending, WorkerDied(f"the worker {reason} during this call", begun=has_begun)
                )
        for pending in slot.pinned:
            if not pending.settled:
                self.ledger.fail(pending, WorkerDied(f"the worker of this session {reason}", begun=False))
        slot.pinned.clear()
        self.waiting.add_first(returned)
        slot.need = "replace"
        slot.calls.set()
        slot.drained.set()
        self.pump_soon()

    def _on_uncommon(self, slot: Slot, pending: Pending, reply: Reply, value: Any, now: float) -> None:
        tally = self.ledger.tally
        self._unassign(slot, pending)
        tally.run_us.add(reply.run_us)
        if pending.cancel_sent_at:
            tally.interrupted_count += 1
            tally.interrupt_us.add(int((now - pending.cancel_sent_at) * 1e6))
        elif pending.lane == "scan":
            self.slow.observe(pending.fingerprint, reply.run_us)
        if pending.settled:
            discard(value)
            self.ledger.release(pending)
        elif not isinstance(reply, Failure):
            self.ledger.succeed(pending, value, reply.run_us)
        elif pending.demoting and reply.name != TIMED_OUT:
            pending.demoting, pending.cancel_sent_at = False, 0.0
            self.move_to_scans(pending)
            self.waiting.add(pending)
            self.pump_soon()
        else:
            self.ledger.fail(pending, _error_of(pending, reply))

    def move_to_scans(self, pending: Pending) -> None:
        """Count a call as a scan from now on."""
        self.ledger.admission.moved(pending.lane, "scan")
        pending.lane = "scan"

    def _unassign(self, slot: Slot, pending: Pending) -> None:
        slot.unassign(pending)
        if pending.key is not None:
            self.waiting.key_answered(pending.key)


class SlotEvents:
    """What one worker tells its pool; see `Events`. Only one that has a slot is listened to."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.slot: Slot | None = None
        self.has_died = False

    def replied(self, replies: Iterable[Reply], file_of: Callable[[], int]) -> None:
        """See `Events`."""
        if self.slot is not None:
            self._dispatcher.on_replies(self.slot, replies, file_of)

    def recalled(self, seqs: Sequence[int]) -> None:
        """See `Events`."""
        if self.slot is not None:
            self._dispatcher.on_recalled(self.slot, seqs)

    def progressed(self, progress: Progress) -> None:
        """See `Events`."""
        if self.slot is not None:
            self._dispatcher.on_progress(self.slot, progress)

    def ponged(self, resident_bytes: int) -> None:
        """See `Events`."""
        if self.slot is not None:
            self._dispatcher.on_pong(self.slot, resident_bytes)

    def died(self, reason: str) -> None:
        """See `Events`."""
        self.has_died = True
        if self.slot is not None:
            self._dispatcher.on_death(self.slot, reason)


def _value_of(reply: Reply, file_of: Callable[[], int]) -> Any:
    if isinstance(reply, LargeResponse):
        return Body.from_file(file_of(), reply.length)
    if isinstance(reply, SmallBody):
        return Body((reply.value,))
    if isinstance(reply, Parcel):
        return Outcome(reply.value, [_body_of(each, file_of) for each in reply.buffers])
    return None if isinstance(reply, Failure) else reply.value


def _body_of(buffer: bytes | int, file_of: Callable[[], int]) -> Body:
    return Body.from_file(file_of(), buffer) if isinstance(buffer, int) else Body((buffer,))


def _error_of(pending: Pending, failure: Failure) -> Exception:
    was_late = pending.settling or time.monotonic() > pending.deadline
    match failure.name:
        case "timed_out":
            error: Exception = TaskTimedOut(failure.message, begun=False)
        case "cancelled" if pending.settling:
            error = TaskTimedOut("the deadline passed before it ran", begun=False)
        case "stopped" if was_late:
            error = TaskTimedOut("the deadline passed while it ran", begun=True)
        case "cancelled" | "stopped":
            error = TaskCancelled(failure.message)
        case "failed":
            error = TaskFailed(failure.message)
        case name:
            error = restored(name, failure.message, failure.details)
    return error

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

from workers.body import discard
from workers.endings import Endings
from workers.errors import WorkerDied
from workers.fingerprints import SlowFingerprints
from workers.handing_out import HandingOut, fitting_window
from workers.ledger import Ledger
from workers.outcomes import error_of, value_of
from workers.protocol import FAILED, FIRST, LAST, TIMED_OUT, Failure
from workers.slot_events import SlotEvents
from workers.slots import Slot
from workers.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        self,
        loop: Loop,
        settings: PoolSettings,
        admission: Admission,
        *,
        slots_count: int,
        maintenance_count: int,
        has_lanes: bool,
    ) -> None:
        self.slots = [
            Slot(index, is_maintenance=index >= slots_count)
            for index in range(slots_count + maintenance_count)
        ]
        self.reserved = self.slots[0] if has_lanes and slots_count > 1 else None
        self.waiting = Waiting(self.slots, settings.weights)
        self.ledger = Ledger(admission)
        self.endings = Endings(self.slots, self.waiting, self.ledger)
        self.slow = SlowFingerprints(settings.demote_after_s * 1e6)
        self._window_count = settings.window_count
        self._demote_us = settings.demote_after_s * 1e6
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

    def fit_window(self) -> None:
        """Let as many short calls be at a worker as suits those that were answered since this was last called."""
        ledger = self.ledger
        count, total_us = ledger.short_count, ledger.short_us
        if count:
            ledger.short_count = ledger.short_us = 0
            self._handing_out.short_window_count = fitting_window(
                self._window_count,
                tenants_count=self.waiting.short.tenants_count,
                mean_us=total_us / count,
            )

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
        if slot.is_maintenance or (self.reserved is not None and slot is not self.reserved):
            worker.give_way()
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
        """Ask for one more worker, if there may be one and some call has to wait for another; for one at a time.

        A start takes longer than a look, and what waits may be done by the one that is on its way.
        """
        coming = {slot.is_maintenance for slot in self.slots if slot.is_starting or slot.need == "wake"}
        is_crowded = bool(self.waiting) or any(len(slot.in_flight) > 1 for slot in self.slots)
        for slot in self.slots:
            is_wanted = self.waiting.has_maintenance if slot.is_maintenance else is_crowded
            if slot.is_maintenance in coming and not slot.pinned:
                continue
            if slot.is_dormant and not slot.need and not slot.is_starting and (is_wanted or slot.pinned):
                slot.ask("wake")
                return

    def on_pong(self, slot: Slot, resident_bytes: int) -> None:
        """Take note that a worker is there."""
        slot.pinged_at, slot.ponged_at = 0.0, time.monotonic()
        slot.resident_bytes = resident_bytes
        slot.ponged.set()

    def on_replies(self, slot: Slot, replies: Sequence[Reply], file_of: Callable[[], int]) -> None:
        """Give callers their answers; `file_of` gives the next descriptor that came with large ones."""
        now = time.monotonic()
        is_shared = len(replies) > 1 and slot.worker is not None and slot.worker.is_batched
        for pending, reply in self.ledger.take_common(slot.in_flight, replies, now):
            try:
                value = value_of(reply, file_of)
            except LookupError:
                value = None
                reply = Failure(reply.seq, reply.run_us, FAILED, "the answer came without its file", {})  # noqa: PLW2901
            if pending is None:
                discard(value)
            else:
                if (
                    reply.run_us >= self.ledger.slow_us and not is_shared
                ):  # in a batch all have the time of all
                    self.ledger.tell_slow(pending, reply.run_us, value, now)
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
        elif pending.lane != "short":
            self.slow.observe(pending.fingerprint, reply.run_us)
            self.waiting.charge(pending, reply.run_us)
            is_slow = reply.run_us >= self._demote_us
            self.ledger.doubts.ran(pending.tenant, pending.fingerprint, now, is_slow=is_slow)
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
            self.ledger.fail(pending, error_of(pending, reply))

    def move_to_scans(self, pending: Pending) -> None:
        """Count a call as a scan from now on."""
        self.ledger.admission.moved(pending.lane, "scan")
        pending.lane = "scan"

    def _unassign(self, slot: Slot, pending: Pending) -> None:
        slot.unassign(pending)
        if pending.key is not None:
            self.waiting.key_answered(pending.key)

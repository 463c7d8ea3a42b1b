"""Looks at running calls and deadlines every 5 ms, only while calls are out.

**No scan holds up a point read.** Worker 0 takes short calls only. What waits behind a call that runs over
`recall_after_s` is taken back and given to others; a short call that runs over `demote_after_s` on worker 0 is
interrupted and run again in the scan lane, and its fingerprint starts there next time. Without this, one 2.4 s query
on two workers delayed 100 of 300 point reads by 2.4 s (2026-11).

**Nor where cores are scarce.** The loop, worker 0 and one that scans want three cores; with two, each had as much as the
others, and a point read waited for its turn twice. So workers that take scans or maintenance run some steps of niceness
behind (`Worker.give_way`). The p99 of point reads beside a heavy neighbour, process workers, with and without in turn on
two cores under a load of 5 to 10: 32, 92, 44, 109 and 313 ms against 99, 261, 66, 406 and 343 (2026-11-23). Ten steps were
no better than five, and SCHED_BATCH did not tell. A scan that has its core to itself is as quick as before.

**Nothing runs for ever.** A call that was told to stop is told again (an interrupt between two statements is lost),
then its process gets SIGTERM, then SIGKILL, each after a limit; a thread can only be left behind. A call that may
have had an effect, a write, is spared that until `max_run_s`, a typed request until `settle_s` after its deadline.

A look costs some microseconds, and an idle pool has none. Deadlines are kept as one number, the soonest; all calls
are looked through when it comes. Most calls are answered long before, so this beats a heap, which cost 1.3 of 10 us
a call (2026-11).
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import structlog

from workers.protocol import FIRST, STARTED_NS

if TYPE_CHECKING:
    from workers.completion import Loop
    from workers.dispatcher import Dispatcher
    from workers.settings import Kind, PoolSettings
    from workers.slots import Slot
    from workers.worker import Pending, Worker

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

PERIOD_S = 0.005
"""How often it looks; so late a deadline may be."""
_SCAN_SHARE = 0.1
"""How much of the time may go into looking through all calls for deadlines."""


class Watch:
    """The eyes of one pool."""

    def __init__(
        self, dispatcher: Dispatcher, loop: Loop, settings: PoolSettings, kind: Kind, name: str
    ) -> None:
        self._dispatcher = dispatcher
        self._loop = loop
        self._settings = settings
        self._kind = kind
        self._name = name
        self.is_on = False
        self.soonest_deadline = math.inf
        """In seconds of `time.monotonic`; whoever adds a call lowers it."""
        self._next_scan_at = 0.0
        self._looked_at = 0.0
        self._completed_count = 0

    def start(self) -> None:
        """Begin to look; it ends by itself when no call is out."""
        self.is_on = True
        self._loop.call_later(PERIOD_S, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        ledger = self._dispatcher.ledger
        if now >= self.soonest_deadline and now >= self._next_scan_at:
            self._expire(now)
        if self._dispatcher.dormant_count:
            self._dispatcher.wake_one()
        is_busy = ledger.admission.outstanding_count > 0
        for slot in self._dispatcher.slots:
            if slot.in_flight and slot.worker is not None:
                is_busy = True
                self._look_at(slot, slot.worker, now)
        completed_count = ledger.tally.completed_count
        ledger.admission.observe_rate(completed_count - self._completed_count, now - self._looked_at, now)
        self._looked_at, self._completed_count = now, completed_count
        self._dispatcher.fit_window()
        if is_busy:
            self._loop.call_later(PERIOD_S, self._look)
        else:
            self.is_on = False
            self.soonest_deadline = math.inf

    def _expire(self, now: float) -> None:
        calls = list(self._dispatcher.waiting)
        for slot in self._dispatcher.slots:
            calls += slot.in_flight.values()
        soonest = math.inf
        for pending in calls:
            if pending.begin_by and not pending.settled:
                if pending.begin_by <= now:
                    self._dispatcher.endings.expire_unbegun(pending, now, self._settings.settle_s)
                else:
                    soonest = min(soonest, pending.begin_by)
            if not pending.settled and pending.deadline <= now:
                self._dispatcher.endings.expire(pending, now, self._settings.settle_s)
            if not pending.settled and pending.deadline < soonest:
                soonest = pending.deadline
        self.soonest_deadline = soonest
        self._next_scan_at = now + (time.monotonic() - now) / _SCAN_SHARE

    def _look_at(self, slot: Slot, worker: Worker, now: float) -> None:
        if slot.stop_stage:
            self._stop_further(slot, worker, now)
            return
        page, settings = worker.page, self._settings
        first, started_ns = page[FIRST], page[STARTED_NS]
        if not first or page[FIRST] != first or self._kind == "inline":
            return
        ran_s = now - started_ns * 1e-9
        pending = slot.in_flight.get(first)
        if pending is not None and pending.cancel_sent_at:
            worker.cancel(first)
            is_hard = pending.idempotent or (pending.priority >= 0 and pending.settling and pending.settled)
            if is_hard and now - pending.cancel_sent_at > settings.cancel_grace_s:
                self._stop_further(slot, worker, now)
            return
        if ran_s > settings.max_run_s:
            self._stop_further(slot, worker, now)
            return
        if ran_s < settings.recall_after_s or worker.is_batched:
            return
        slot.slow = True
        if len(slot.in_flight) > 1 and slot.recalled_first != first:
            slot.recalled_first = first
            worker.recall()
        if pending is not None and ran_s >= settings.demote_after_s:
            self._demote(slot, pending)

    def _demote(self, slot: Slot, pending: Pending) -> None:
        dispatcher = self._dispatcher
        if (
            dispatcher.reserved is None
            or pending.lane != "short"
            or not pending.idempotent
            or pending.pinned is not None
        ):
            return
        dispatcher.ledger.tally.demoted_count += 1
        dispatcher.waiting.charge(pending, self._settings.demote_after_s * 1e6)
        if dispatcher.waiting.short.tenants_count > 1:
            dispatcher.ledger.doubts.demoted(pending.tenant, time.monotonic())
        if pending.fingerprint is not None:
            dispatcher.slow.add(pending.fingerprint)
        if slot is dispatcher.reserved:
            pending.demoting = True
            dispatcher.endings.ask_to_stop(pending)
        else:  # it is where scans run: let it go on as one
            dispatcher.move_to_scans(pending)
            slot.long_count += 1

    def _stop_further(self, slot: Slot, worker: Worker, now: float) -> None:
        if slot.stop_stage == 0:
            slot.stop_stage, slot.stop_at = 1, now
            _log.warning("workers.stop_forced", pool=self._name, worker=slot.index, step="terminate")
            if len(slot.in_flight) > 1 and not worker.is_batched:
                worker.recall()
            worker.terminate()
        elif slot.stop_stage == 1 and now - slot.stop_at > self._settings.terminate_grace_s:
            slot.stop_stage, slot.stop_at = 2, now
            _log.warning("workers.stop_forced", pool=self._name, worker=slot.index, step="kill")
            if not worker.kill():
                self._dispatcher.ledger.tally.abandoned_count += 1

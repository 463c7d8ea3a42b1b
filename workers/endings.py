"""How a call ends before its answer: its caller left, its deadline passed, or it stood in the way of others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workers.body import discard
from workers.completion import untaken
from workers.errors import TaskTimedOut
from workers.protocol import FIRST, LAST, STARTED_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.ledger import Ledger
    from workers.slots import Slot
    from workers.waiting import Waiting
    from workers.worker import Pending


class Endings:
    """Ends calls of one pool, wherever they are."""

    def __init__(self, slots: Sequence[Slot], waiting: Waiting, ledger: Ledger) -> None:
        self._slots = slots
        self._waiting = waiting
        self._ledger = ledger

    def abandon(self, pending: Pending) -> None:
        """Stop a call whose caller does not wait any more; close an answer that it left in the very turn it came."""
        if pending.settled:
            discard(untaken(pending.future))
            return
        self._ledger.tally.cancelled_count += 1
        if pending.slot is None:
            self._ledger.settle(pending)
            self._waiting.became_stale()
        else:
            pending.settled = True
            self.ask_to_stop(pending)

    def expire(self, pending: Pending, now: float, settle_s: float) -> None:
        """Answer a call whose deadline passed; one that may have had an effect waits `settle_s` for the truth."""
        if pending.slot is None:
            self._ledger.fail(pending, TaskTimedOut("the deadline passed before it ran", begun=False))
            self._waiting.became_stale()
        elif pending.idempotent:
            self.end(pending, TaskTimedOut("the deadline passed while it ran", begun=True))
        elif pending.settling:
            self._ledger.fail(
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
            self._ledger.fail(pending, TaskTimedOut("it waited too long to begin", begun=False))
            self._waiting.became_stale()
        elif slot.worker is not None and pending.seq > slot.worker.page[LAST]:
            pending.settling = True  # it may begin just now: the worker knows
            pending.deadline = now + settle_s
            self.ask_to_stop(pending)

    def running(self) -> list[tuple[Pending, float]]:
        """Return the calls that workers run now, but for batches, and for how many seconds each has run."""
        now, found = time.monotonic(), []
        for slot in self._slots:
            if slot.worker is not None and not slot.worker.is_batched:
                page = slot.worker.page
                pending = slot.in_flight.get(page[FIRST])
                if pending is not None and not pending.settled:
                    found.append((pending, now - page[STARTED_NS] * 1e-9))
        return found

    def end(self, pending: Pending, error: Exception) -> None:
        """Interrupt a call that may be repeated, and give its caller `error`."""
        self.ask_to_stop(pending)
        self._ledger.fail(pending, error)

    def ask_to_stop(self, pending: Pending) -> None:
        """Tell the worker of a call to take it back or interrupt it; the watch asks again while it runs."""
        slot = pending.slot
        if slot is None or slot.worker is None:
            return
        if not pending.cancel_sent_at:
            pending.cancel_sent_at = time.monotonic()
        if pending not in slot.outgoing:
            slot.worker.cancel(pending.seq)

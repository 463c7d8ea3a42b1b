"""Which worker gets which waiting call.

Calls with a key go where others of the key are; scans go to workers other than the reserved one, one at a time;
short calls go to the least busy worker (or to each in turn) that runs neither a scan nor anything slow. Typed requests
likewise, those of high priority first. Maintenance goes to the workers that are there for it, one call at a time, and
nothing else does: a call whose key is at the other sort of worker waits until that one is done with the key.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workers.slots import load_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from workers.fairness import FairQueue
    from workers.settings import Balance
    from workers.slots import Slot
    from workers.waiting import Waiting
    from workers.worker import Pending


PATIENCE_S = 5.0
"""A request of low priority that has waited this long counts as normal: it is deferred, never starved."""


MAX_FILES_COUNT = 256
"""Files of requests that may be at one worker: it may hold 1,024 descriptors, where nobody said otherwise."""


def files_at(slot: Slot) -> int:
    """Return how many files the requests at a worker have."""
    return sum(len(each.attachments.fds) for each in slot.in_flight.values() if each.attachments is not None)


AT_WORKER_US = 2_000.0
"""While several tenants ask, about as much work in short calls is at one worker; the rest waits where turns are taken."""
LEAST_WINDOW_COUNT = 8


def fitting_window(max_count: int, *, tenants_count: int, mean_us: float) -> int:
    """Return how many short calls of `mean_us` each may be at one worker."""
    if tenants_count <= 1 or mean_us <= 0:
        return max_count
    return min(max_count, max(LEAST_WINDOW_COUNT, int(AT_WORKER_US / mean_us)))


class HandingOut:
    """Assigns waiting calls to slots; sending them is the dispatcher's part."""

    def __init__(
        self,
        slots: Sequence[Slot],
        waiting: Waiting,
        *,
        reserved: Slot | None,
        window_count: int,
        request_window_count: int,
        balance: Balance,
    ) -> None:
        self._slots = slots
        self._ordinary = [slot for slot in slots if not slot.is_maintenance]
        self._maintaining = [slot for slot in slots if slot.is_maintenance]
        self._waiting = waiting
        self._reserved = reserved
        self._window_count = window_count
        self.short_window_count = window_count
        """How many calls may be at a worker that gets one more short one."""
        self._request_window_count = request_window_count
        self._balance = balance
        self._turn = 0

    def run(self) -> None:
        """Assign what can be assigned."""
        waiting = self._waiting
        for slot in self._slots:
            if slot.pinned:
                self._pinned(slot)
        if waiting.keyed:
            self._keyed()
        if waiting.maintenance.length:
            self._alone(waiting.maintenance, self._maintaining)
        if waiting.scans.length:
            self._alone(
                waiting.scans,
                [slot for slot in self._ordinary if slot is not self._reserved and not slot.slow],
            )
        if waiting.short.length:
            self._short()
        if waiting.has_requests:
            self._requests()

    def _pinned(self, slot: Slot) -> None:
        while slot.pinned and slot.takes_calls(self._window_count):
            pending = slot.pinned.popleft()
            if pending.settled:
                self._waiting.met_stale()
            else:
                slot.assign(pending)

    def _keyed(self) -> None:
        waiting = self._waiting
        if not any(slot.takes_calls(self._window_count) for slot in self._slots):
            return
        for key in list(waiting.keyed):
            queue = waiting.keyed[key]
            while queue and queue[0].settled:
                queue.popleft()
                waiting.met_stale()
            slot = self._slot_for(key, is_maintenance=bool(queue) and queue[0].lane == "maintenance")
            while queue and slot is not None and slot.takes_calls(self._window_count):
                if slot.is_maintenance != (queue[0].lane == "maintenance"):
                    break
                pending = queue.popleft()
                if pending.settled:
                    waiting.met_stale()
                else:
                    slot.assign(pending)
                    waiting.key_sent(key, slot)
            if queue:
                waiting.keyed.move_to_end(key)
            else:
                del waiting.keyed[key]

    def _slot_for(self, key: Hashable, *, is_maintenance: bool) -> Slot | None:
        """Return where the next call of `key` goes; None while there is no such place."""
        owner = self._waiting.owner_of(key)
        if owner is not None:
            return owner
        slots = self._maintaining if is_maintenance else self._ordinary
        free = [slot for slot in slots if slot.takes_calls(self._window_count)]
        return min(free, key=load_of) if free else None

    def _alone(self, queue: FairQueue[Pending], slots: Sequence[Slot]) -> None:
        """Give out long calls, one to a worker."""
        for slot in sorted(slots, key=load_of):
            while queue and not slot.long_count and slot.takes_calls(self._window_count):
                pending = queue.popleft()
                if pending.settled:
                    self._waiting.met_stale()
                else:
                    slot.assign(pending)

    def _requests(self) -> None:
        """Give out typed requests by priority, each to the least busy worker (or to each in turn)."""
        self._be_patient_no_longer()
        window_count = self._request_window_count
        free = [slot for slot in self._ordinary if not slot.slow and slot.takes_calls(window_count)]
        for queue in self._waiting.requests:
            while queue and free:
                pending = queue.popleft()
                if pending.settled:
                    self._waiting.met_stale()
                    continue
                fitting = free
                if pending.attachments is not None and pending.attachments.fds:
                    files_count = len(pending.attachments.fds)
                    fitting = [each for each in free if files_at(each) + files_count <= MAX_FILES_COUNT]
                    if not fitting:
                        queue.appendleft(pending)
                        break
                if self._balance == "least-busy":
                    slot = min(fitting, key=load_of)
                else:
                    self._turn += 1
                    slot = fitting[self._turn % len(fitting)]
                slot.assign(pending)
                if len(slot.in_flight) >= window_count:
                    free.remove(slot)

    def _be_patient_no_longer(self) -> None:
        """Put requests of low priority that have waited long behind those of normal priority."""
        _, normal, low = self._waiting.requests
        if low:
            since = time.monotonic() - PATIENCE_S
            while low and low[0].submitted_at < since:
                low[0].priority -= 1
                normal.append(low.popleft())

    def _short(self) -> None:
        queue, window_count = self._waiting.short, self.short_window_count
        free = [
            slot
            for slot in self._ordinary
            if not slot.long_count and not slot.slow and slot.takes_calls(window_count)
        ]
        while queue.length and free:
            if self._balance == "least-busy":
                slot = min(free, key=load_of)
                share = max(1, queue.length // len(free))
            else:
                self._turn += 1
                slot, share = free[self._turn % len(free)], 1
            # `Slot.assign` in line: this loop runs once a call
            in_flight, outgoing, seq = slot.in_flight, slot.outgoing, slot.next_seq
            for pending in queue.take(min(share, window_count - len(in_flight))):
                if pending.settled:
                    self._waiting.met_stale()
                    continue
                pending.seq = seq
                pending.slot = slot
                pending.sends_count += 1
                in_flight[seq] = pending
                outgoing.append(pending)
                seq += 1
            slot.next_seq = seq
            if len(in_flight) >= window_count:
                free.remove(slot)

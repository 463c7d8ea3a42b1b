"""The calls that wait in the parent, where they can still be cancelled, expire, or be put in another lane."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from workers.fairness import FairQueue
from workers.settings import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from workers.settings import Lane
    from workers.slots import Slot
    from workers.worker import Pending

_STALE_SLACK_COUNT = 1_024


class Waiting:
    """Queues by lane, by key and by pinned slot; calls that were settled while they waited stay until met."""

    def __init__(self, slots: Sequence[Slot], weights: Mapping[str, float]) -> None:
        self.short: FairQueue[Pending] = FairQueue(weights)
        self.scans: FairQueue[Pending] = FairQueue(weights)
        self.maintenance: FairQueue[Pending] = FairQueue(weights)
        self._lanes: dict[Lane, FairQueue[Pending]] = {
            "short": self.short,
            "scan": self.scans,
            "maintenance": self.maintenance,
        }
        self.requests: tuple[deque[Pending], ...] = tuple(deque() for _ in PRIORITIES)
        """Typed requests, by priority."""
        self.keyed: OrderedDict[Hashable, deque[Pending]] = OrderedDict()
        self._slots = slots
        self._owners: dict[Hashable, tuple[Slot, int]] = {}
        self._stale_count = 0

    def __bool__(self) -> bool:
        return bool(
            self.short.length
            or self.scans.length
            or self.keyed
            or self.maintenance.length
            or self.has_requests
        )

    @property
    def has_requests(self) -> bool:
        """Whether typed requests wait."""
        high, normal, low = self.requests
        return bool(normal or high or low)

    @property
    def has_maintenance(self) -> bool:
        """Whether something waits that only the workers for maintenance take."""
        return bool(self.maintenance) or any(
            queue and queue[0].lane == "maintenance" for queue in self.keyed.values()
        )

    def __iter__(self) -> Iterator[Pending]:
        for queue in self._queues():
            yield from queue
        for lane in self._lanes.values():
            yield from lane

    def is_modest(self, lane: Lane, tenant: str, max_count: int) -> bool:
        """Return whether `tenant` has less waiting than its share of `max_count` beside the others that have some."""
        queue = self._lanes[lane]
        own_count = queue.count_of(tenant)
        others_count = queue.active_count - (own_count > 0)
        return others_count > 0 and own_count < max_count / (others_count + 1)

    def ahead_of(self, lane: Lane, tenant: str) -> int:
        """Return how many of the calls that wait come before a new one of `tenant`, all weights being alike."""
        queue = self._lanes[lane]
        own_count = queue.count_of(tenant)
        return min(len(queue), (own_count + 1) * queue.active_count)

    def ahead_of_key(self, key: Hashable) -> int:
        """Return how many calls come before a new one of `key`: those at workers, and each key's in turn."""
        own_count = len(self.keyed.get(key, ()))
        at_workers_count = sum(len(slot.in_flight) for slot in self._slots)
        return at_workers_count + (own_count + 1) * len(self.keyed)

    def waiting_count(self, lane: Lane) -> int:
        """Return how many calls of `lane` wait that belong to no key and no slot."""
        return len(self._lanes[lane])

    def charge(self, pending: Pending, run_us: float) -> None:
        """Put the tenant of a call that took long behind others."""
        self._lanes[pending.lane].charge(pending.tenant, run_us)

    def add(self, pending: Pending) -> None:
        """Let a call wait behind the others of its lane, key or slot."""
        if pending.pinned is not None:
            pending.pinned.pinned.append(pending)
        elif pending.priority >= 0:
            self.requests[pending.priority].append(pending)
        elif pending.key is not None:
            self.keyed.setdefault(pending.key, deque()).append(pending)
        else:
            self._lanes[pending.lane].append(pending)

    def add_first(self, returned: Sequence[Pending]) -> None:
        """Put calls that came back from a worker, given in order, before those that wait."""
        for pending in reversed(returned):
            if pending.pinned is not None:
                pending.pinned.pinned.appendleft(pending)
            elif pending.priority >= 0:
                self.requests[pending.priority].appendleft(pending)
            elif pending.key is not None:
                self.keyed.setdefault(pending.key, deque()).appendleft(pending)
            else:
                self._lanes[pending.lane].appendleft(pending)

    def clear(self) -> None:
        """Forget all."""
        for queue in self._queues():
            queue.clear()
        for lane in self._lanes.values():
            lane.clear()
        self.keyed.clear()

    def owner_of(self, key: Hashable) -> Slot | None:
        """Return the slot that has calls of `key`, which must get the next ones too."""
        owner = self._owners.get(key)
        return None if owner is None else owner[0]

    def key_sent(self, key: Hashable, slot: Slot) -> None:
        """Take note that a call of `key` went to `slot`."""
        owner = self._owners.get(key)
        self._owners[key] = (slot, 1 if owner is None else owner[1] + 1)

    def key_answered(self, key: Hashable) -> None:
        """Take note that a call of `key` is at no worker any more."""
        slot, count = self._owners.pop(key)
        if count > 1:
            self._owners[key] = (slot, count - 1)

    def met_stale(self) -> None:
        """Take note that a settled call was taken from a queue."""
        self._stale_count -= 1

    def became_stale(self) -> None:
        """Take note that a call was settled while it waited; once there are many, sweep them out."""
        self._stale_count += 1
        if self._stale_count > _STALE_SLACK_COUNT:
            self._stale_count = 0
            for queue in self._queues():
                live = [pending for pending in queue if not pending.settled]
                queue.clear()
                queue.extend(live)
            for lane in self._lanes.values():
                lane.keep(lambda pending: not pending.settled)

    def _queues(self) -> list[deque[Any]]:
        return [
            *self.requests,
            *self.keyed.values(),
            *(slot.pinned for slot in self._slots),
        ]

"""Whose call is next: tenants take turns by weight, however many calls one of them has waiting. Pure.

Start-time fair queueing: each tenant has a place on a common scale that moves on by `COST / weight` with every call of
its that is handed out; the one that is furthest behind is next. A tenant that was away begins where the scale stands,
so being idle earns nothing, and one that comes anew waits for one call of each other tenant at most. What a call cost
beyond the usual is charged when it is known, so a tenant of slow calls has fewer turns, not the same number.

With one tenant this is a deque: `take` hands out a run of its calls at once.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

COST = 1.0
"""Of a call as it is handed out."""
COST_US = 100.0
"""How long in a worker counts as much as one call."""
MAX_ABSENT_COUNT = 1_000
"""Tenants without a call whose debts are remembered."""


class _Owned(Protocol):
    @property
    def tenant(self) -> str:
        """Whose it is."""


T = TypeVar("T", bound=_Owned)


class _Line(Generic[T]):
    """What one tenant has waiting."""

    __slots__ = ("at", "items", "step", "tenant")

    def __init__(self, tenant: str, weight: float) -> None:
        self.tenant = tenant
        self.items: deque[T] = deque()
        self.step = COST / weight
        self.at = 0.0
        """Its place on the scale: the smallest is next."""


class FairQueue(Generic[T]):
    """Waiting calls of several tenants; those of one keep their order."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        """Make it empty; a tenant that `weights` do not name has the weight 1."""
        self._weights = dict(weights or {})
        self._lines: dict[str, _Line[T]] = {}
        self._active: list[tuple[float, int, _Line[T]]] = []
        """A heap of the tenants that have something waiting, by their places when they were put there."""
        self._order = count()
        self._now = 0.0
        """How far the scale is: the place of the tenant that was served last."""
        self.length = 0
        """How many wait, all together."""

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        return self.length > 0

    def __iter__(self) -> Iterator[T]:
        for line in self._lines.values():
            yield from line.items

    @property
    def active_count(self) -> int:
        """The number of tenants that have something waiting."""
        return len(self._active)

    @property
    def tenants_count(self) -> int:
        """The number of tenants that are known, be it from earlier."""
        return len(self._lines)

    def count_of(self, tenant: str) -> int:
        """Return how many calls of `tenant` wait."""
        line = self._lines.get(tenant)
        return 0 if line is None else len(line.items)

    def append(self, item: T) -> None:
        """Let `item` wait behind the others of its tenant."""
        line = self._lines.get(item.tenant)
        if line is None:
            line = self._new_line(item.tenant)
        items = line.items
        if not items:  # `_activate` in line: this runs once a call
            line.at = max(line.at, self._now)
            heappush(self._active, (line.at, next(self._order), line))
        items.append(item)
        self.length += 1

    def appendleft(self, item: T) -> None:
        """Let `item`, which was handed out and comes back, be the next of its tenant; it is not charged twice."""
        line = self._lines.get(item.tenant) or self._new_line(item.tenant)
        line.at = max(line.at - line.step, 0.0)
        if not line.items:
            self._activate(line)
        line.items.appendleft(item)
        self.length += 1

    def popleft(self) -> T:
        """Hand out the next call.

        Raises:
            IndexError: None waits.
        """
        active = self._active
        while True:
            at, _, line = active[0]
            if at == line.at:
                break
            heapreplace(active, (line.at, next(self._order), line))  # it was charged meanwhile
        item = line.items.popleft()
        self._now = max(self._now, at)
        line.at += line.step
        self.length -= 1
        if line.items:
            heapreplace(active, (line.at, next(self._order), line))
        else:
            heappop(active)
        return item

    def take(self, max_count: int) -> list[T]:
        """Hand out up to `max_count` calls in their order."""
        active = self._active
        if len(active) != 1:
            return [self.popleft() for _ in range(min(max_count, self.length))]
        line = active[0][2]
        items = line.items
        if max_count < len(items):
            taken = [items.popleft() for _ in range(max_count)]
        else:
            taken = list(items)
            items.clear()
            active.clear()
        count = len(taken)
        self.length -= count
        line.at += line.step * count
        self._now = max(self._now, line.at - line.step)
        return taken

    def charge(self, tenant: str, run_us: float) -> None:
        """Put `tenant` back on the scale for what a call of its took in a worker beyond the usual."""
        line = self._lines.get(tenant) or self._new_line(tenant)
        line.at = max(line.at, self._now) + line.step * run_us / COST_US

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Drop what is not wanted."""
        for line in self._lines.values():
            line.items = deque(item for item in line.items if wanted(item))
        self._active = [entry for entry in self._active if entry[2].items]
        heapify(self._active)
        self.length = sum(len(line.items) for line in self._lines.values())

    def clear(self) -> None:
        """Drop all."""
        self.keep(lambda _: False)

    def _activate(self, line: _Line[T]) -> None:
        line.at = max(line.at, self._now)
        heappush(self._active, (line.at, next(self._order), line))

    def _new_line(self, tenant: str) -> _Line[T]:
        if len(self._lines) >= MAX_ABSENT_COUNT + len(self._active):
            self._lines = {
                name: line for name, line in self._lines.items() if line.items or line.at > self._now
            }
            while len(self._lines) >= MAX_ABSENT_COUNT + len(
                self._active
            ):  # all of them in debt: the oldest goes
                del self._lines[next(name for name, line in self._lines.items() if not line.items)]
        line = self._lines[tenant] = _Line(tenant, self._weights.get(tenant, 1.0))
        return line

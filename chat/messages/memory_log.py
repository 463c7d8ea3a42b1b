"""A log of events in this process, for stores that have no file; followed like the durable one."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import anyio

from chat.queue.events import PAGE_COUNT, Event, Followed, Refusals

if TYPE_CHECKING:
    from chat.queue.clock import QueueClock

MAX_EVENT_COUNT = 5_000
"""The oldest ones go: a reader that is further behind misses them."""


class MemoryLog:
    """Numbers events and keeps the last of them."""

    def __init__(self, clock: QueueClock) -> None:
        self.refusals = Refusals()
        self.newest = 0
        """The number of the newest event."""
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=MAX_EVENT_COUNT)
        self._changed = anyio.Event()

    def add(self, kind: str, *, due_ms: int | None = None, **facts: Any) -> None:
        """Tell that something happened now; `due_ms` is boot time, `facts` are the event's other fields."""
        at_ms, boot_ms = self._clock.wall_ms(), self._clock.boot_ms()
        self.newest += 1
        due_at_ms = None if due_ms is None else at_ms + due_ms - boot_ms
        self._events.append(Event(seq=self.newest, kind=kind, at_ms=at_ms, due_at_ms=due_at_ms, **facts))
        self.stir()

    def stir(self) -> None:
        """Have those look who wait for news."""
        self._changed.set()
        self._changed = anyio.Event()

    def news(self) -> anyio.Event:
        """See `Log`."""
        return self._changed

    async def page(self, after: int) -> list[Event]:
        """See `Log`."""
        start = max(0, len(self._events) - (self.newest - after))
        return list(islice(self._events, start, start + PAGE_COUNT))

    def follow(self, after: int) -> Followed:
        """Return all kept events after the number `after`, and then each as it happens."""
        return Followed(self, after)

"""The event log: what happened to actions, in order, durable, for any number of readers.

A reader names the last event it saw and misses none after it: events are numbered in the order of commits, and read
from the same file that they were written to in one transaction with what they tell. Subscribe first, then take a
snapshot, then follow: what comes twice has the same number.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from chat.errors import Failure
from chat.queue.tables import failure_of

if TYPE_CHECKING:
    from chat.queue.clock import QueueClock
    from chat.queue.tables import Tables
    from chat.queue.views import Views

PAGE_COUNT = 500


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    seq: int
    kind: str
    """The state that an action came into, or `session.expired`."""
    was: str | None = None
    """The state that it came from; None: it is new."""
    at_ms: int
    client_id: str | None = None
    type: str | None = None
    lane: str | None = None
    account: str | None = None
    attempts: int = 0
    wait_ms: int | None = None
    """Of one that will be tried again: how long it waited from then on."""
    failure: Failure | None = None
    result: Any = None
    carried_by: str | None = None
    payload: Any = None
    """What the action carries now; None when it was wiped."""


class EventLog:
    """Reads and follows the events of one queue."""

    def __init__(self, tables: Tables, views: Views, clock: QueueClock, *, tick_s: float) -> None:
        self._tables = tables
        self._views = views
        self._clock = clock
        self._tick_s = tick_s
        self._changed = anyio.Event()

    def stir(self) -> None:
        """Have followers look: something was committed."""
        self._changed.set()
        self._changed = anyio.Event()

    def news(self) -> News:
        """Return what waits for the next commit; taken before a look, so that none is missed after it."""
        return News(self._changed, self._tick_s)

    async def newest(self) -> int:
        """Return the number of the newest event, 0 if there was none."""
        (row,) = await self._tables.read("event_bounds")
        return int(row[1])

    async def page(self, after: int, count: int = PAGE_COUNT) -> list[Event]:
        """Return up to `count` events after the number `after`, in order."""
        rows = await self._tables.read("events", (after, min(count, PAGE_COUNT)))
        return [self._event(row) for row in rows]

    async def cursor(self, name: str) -> int:
        """Return the number that the reader `name` has seen, 0 for a new one."""
        rows = await self._tables.read("cursor", (name,))
        return int(rows[0][0]) if rows else 0

    async def move_cursor(self, name: str, seq: int) -> None:
        """Note that the reader `name` has seen all up to `seq`; what none has seen is kept, within a limit."""
        await self._tables.write("move_cursor", (name, seq, self._clock.wall_ms()))

    async def drop_cursor(self, name: str) -> None:
        """Forget the reader `name`."""
        await self._tables.write("drop_cursor", (name,))

    def follow(self, after: int) -> Followed:
        """Return all events after the number `after`, and then each as it happens, also in other processes."""
        return Followed(self, after)

    def _event(self, row: tuple[Any, ...]) -> Event:
        seq, at_ms, kind, client_id, name, lane, account, attempts, due_ms, error, result = row[:11]
        carried_by, key_id, version, sealed, was = row[11:]
        payload = None
        if name is not None and lane is not None and sealed is not None:
            payload = self._views.payload(client_id, name, lane, (version, key_id, sealed))
        return Event(
            seq=seq,
            kind=kind,
            was=was,
            at_ms=at_ms,
            client_id=client_id,
            type=name,
            lane=lane,
            account=account,
            attempts=attempts or 0,
            wait_ms=None if due_ms is None else max(0, due_ms - self._clock.boot_ms()),
            failure=failure_of(error),
            result=None if result is None else msgspec.json.decode(result),
            carried_by=carried_by,
            payload=payload,
        )


class News:
    """The next commit, here or elsewhere."""

    def __init__(self, changed: anyio.Event, tick_s: float) -> None:
        self._changed = changed
        self._tick_s = tick_s

    async def wait(self) -> None:
        """Return when there was one, or may have been."""
        with anyio.move_on_after(self._tick_s):
            await self._changed.wait()


class Followed:
    """An endless sequence of events, in order; it holds nothing, so it may be left at any time."""

    def __init__(self, log: EventLog, after: int) -> None:
        self._log = log
        self._page: deque[Event] = deque()
        self.seen = after
        """The number of the event that was given last."""

    def __aiter__(self) -> Followed:
        return self

    async def __anext__(self) -> Event:
        while not self._page:
            news = self._log.news()
            self._page.extend(await self._log.page(self.seen))
            if not self._page:
                await news.wait()
        event = self._page.popleft()
        self.seen = event.seq
        return event

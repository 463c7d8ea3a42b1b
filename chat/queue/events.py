"""The event log: what happened to actions, in order, durable, for any number of readers.

A reader names the last event it saw and misses none after it: events are numbered in the order of commits, and read
from the same file that they were written to in one transaction with what they tell. Subscribe first, then take a
snapshot, then follow: what comes twice has the same number.

One kind is not in the file, since nothing was stored: `refused` tells those who follow just then that the queue could
not take an action that it was given by a plain call, and why.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import msgspec

from chat.errors import ClientIdConflict, Failure, QueueFull
from chat.queue.storage_troubles import read_patiently
from chat.queue.tables import failure_of

if TYPE_CHECKING:
    from chat.queue.clock import QueueClock
    from chat.queue.records import NewAction
    from chat.queue.tables import Tables
    from chat.queue.views import Views

PAGE_COUNT = 500
SESSION_EXPIRED = "session.expired"
REFUSED = "refused"
CLIENT_ID_CONFLICT = "client_id_conflict"
_MOST_REFUSALS_COUNT = 1_000


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    seq: int
    """Its number in the log; of a refusal, which is not in it, 0."""
    kind: str
    """The state that an action came into, `refused`, or `session.expired`."""
    was: str | None = None
    """The state that it came from; None: it is new."""
    at_ms: int
    client_id: str | None = None
    type: str | None = None
    lane: str | None = None
    account: str | None = None
    attempts: int = 0
    wait_ms: int | None = None
    """Of one that has a time: how long it still waits for it."""
    due_at_ms: int | None = None
    """The same time by the wall clock, which may jump."""
    failure: Failure | None = None
    result: Any = None
    carried_by: str | None = None
    payload: Any = None
    """What the action carries now; None when it was wiped."""

    @property
    def name(self) -> str:
        """What the event is called where events of several sources meet."""
        return self.kind if self.kind == SESSION_EXPIRED else f"action.{self.kind}"


class Waitable(Protocol):
    """Something that comes once."""

    async def wait(self) -> None:
        """Return when it has come."""


class Log(Protocol):
    """Where events are read from."""

    refusals: Refusals

    def news(self) -> Waitable:
        """Return what waits for the next change; taken before a look, so that none is missed after it."""

    async def page(self, after: int) -> list[Event]:
        """Return some of the events after the number `after`, the next ones first; none if there are none."""


class Refusals:
    """The last actions that could not be taken, for those who follow just then."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=_MOST_REFUSALS_COUNT)
        self.count = 0
        """Of all that there were."""

    def add(self, event: Event) -> None:
        """Tell of one."""
        self._events.append(event)
        self.count += 1

    def after(self, count: int) -> list[Event]:
        """Return those after the first `count`, as far as they are remembered."""
        new_count = min(self.count - count, len(self._events))
        return list(self._events)[len(self._events) - new_count :]


class EventLog:
    """Reads and follows the events of one queue."""

    def __init__(self, tables: Tables, views: Views, clock: QueueClock, *, tick_s: float) -> None:
        self.refusals = Refusals()
        self._tables = tables
        self._views = views
        self._clock = clock
        self._tick_s = tick_s
        self._changed = anyio.Event()

    def stir(self) -> None:
        """Have followers look: something was committed."""
        self._changed.set()
        self._changed = anyio.Event()

    def refuse(self, new: NewAction, error: Exception) -> None:
        """Tell those who follow that `new` was not stored."""
        self.refusals.add(
            Event(
                seq=0,
                kind=REFUSED,
                at_ms=new.created_at_ms,
                client_id=new.client_id,
                type=new.type,
                lane=new.lane_key,
                account=new.account,
                failure=refusal_of(error),
            )
        )
        self.stir()

    def news(self) -> News:
        """See `Log`."""
        return News(self._changed, self._tick_s)

    async def newest(self) -> int:
        """Return the number of the newest event, 0 if there was none."""
        (row,) = await self._tables.read("event_bounds")
        return int(row[1])

    async def page(self, after: int, count: int = PAGE_COUNT) -> list[Event]:
        """Return up to `count` events after the number `after`, in order."""
        rows = await self._tables.read_some("events", (after,), min(count, PAGE_COUNT))
        boot_ms, wall_ms = self._clock.boot_ms(), self._clock.wall_ms()
        return [self._event(row, boot_ms, wall_ms) for row in rows]

    async def cursor(self, name: str) -> int:
        """Return the number that the reader `name` has seen, 0 for a new one."""
        rows = await self._tables.read("cursor", (name,))
        return int(rows[0][0]) if rows else 0

    async def move_cursor(self, name: str, seq: int) -> None:
        """Note that the reader `name` has seen all up to `seq`; what none has seen is kept, within a limit."""
        await self._tables.write("move_cursor", (name, seq, self._clock.wall_ms()))

    def follow(self, after: int) -> Followed:
        """Return all events after the number `after`, and then each as it happens, also in other processes."""
        return Followed(self, after)

    def _event(self, row: tuple[Any, ...], boot_ms: int, wall_ms: int) -> Event:
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
            wait_ms=None if due_ms is None else max(0, due_ms - boot_ms),
            due_at_ms=None if due_ms is None else wall_ms + due_ms - boot_ms,
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
    """An endless sequence of events, in order; it holds nothing, so it may be left at any time.

    It waits while the file is busy; another `StorageError` ends it, and from `seen` it can be followed again.
    """

    def __init__(self, log: Log, after: int) -> None:
        self._log = log
        self._page: deque[Event] = deque()
        self._refusals_count = log.refusals.count
        self.seen = after
        """The number of the event that was given last."""

    def __aiter__(self) -> Followed:
        return self

    async def __anext__(self) -> Event:
        while True:
            news = self._log.news()
            event = await self.look()
            if event is not None:
                return event
            await news.wait()

    async def look(self) -> Event | None:
        """Return the next event if there is one by now."""
        if not self._page:
            refused = self._log.refusals.after(self._refusals_count)
            self._refusals_count = self._log.refusals.count
            self._page.extend(refused or await read_patiently(self._next_page, "chat.events_delayed"))
        if not self._page:
            return None
        event = self._page.popleft()
        self.seen = event.seq or self.seen
        return event

    async def _next_page(self) -> list[Event]:
        return await self._log.page(self.seen)


def refusal_of(error: Exception) -> Failure:
    """Return why an action was not taken, as a value."""
    if isinstance(error, QueueFull):
        return Failure("transient", "queue_full", str(error))
    if isinstance(error, ClientIdConflict):
        return Failure("permanent", CLIENT_ID_CONFLICT, str(error))
    return Failure("transient", "not_stored", str(error))

"""Clients that go away, and bodies that never arrive: whoever handles such a request is cancelled.

ASGI tells of a disconnect only to who waits in `receive()`, and a task for that beside every request costs 9 us of the
65 of a point read (2026-11-23). So a server may offer more: `extensions["dataserver.departure"]` takes a function to call when the client
leaves, which costs nothing. Without the offer, one timer turns every 20 ms while requests are open, and those that it
meets twice get a task that waits: a point read is over by then, a scan is interrupted 20 to 40 ms after its client left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Literal

TURN_S: Final = 0.02
EXTENSION: Final = "dataserver.departure"

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_NOTHING: Final[dict[str, Any]] = {}


class Visit:
    """One request while it is handled."""

    __slots__ = ("_departures", "ended_by", "is_told", "receive", "receiving_until", "task", "waiter")

    def __init__(self, departures: Departures, receive: Receive, task: asyncio.Task[Any]) -> None:
        self._departures = departures
        self.receive = receive
        self.task = task
        self.receiving_until: float | None = None
        """While the handler reads the body: until when, by the loop's clock; only one may call `receive`."""
        self.ended_by: Literal["departure", "slow body", "answer"] | None = None
        """Why the handler was cancelled, if it was cancelled from here."""
        self.is_told = False
        """Whether the server tells of the departure by itself."""
        self.waiter: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """Cancel the handler, since its client has left; nothing happens once it has answered."""
        if self.ended_by is None:
            self.ended_by = "departure"
            self._departures.departed_count += 1
            self.task.cancel()


class Departures:
    """All requests that are open, and the timer that looks after those that need it."""

    def __init__(self) -> None:
        self._young: set[Visit] = set()
        self._old: set[Visit] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.open_count = 0
        """How many requests are open."""
        self.departed_count = 0
        """Requests cancelled because their client left."""

    def begin(self, scope: MutableMapping[str, Any], receive: Receive) -> Visit:
        """Look after the request of the current task; call `end` when it is over, however it ends."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a request is handled by a task")
        visit = Visit(self, receive, task)
        self.open_count += 1
        tell = scope.get("extensions", _NOTHING).get(EXTENSION)
        if tell is None:
            self._watch(visit)
        else:
            visit.is_told = True
            tell(visit.leave)
        return visit

    def expect_body(self, visit: Visit, timeout_s: float) -> None:
        """Leave `receive` to the handler until `body_came`; after `timeout_s` the handler is cancelled."""
        visit.receiving_until = asyncio.get_running_loop().time() + timeout_s
        self._watch(visit)

    def body_came(self, visit: Visit) -> None:
        """Watch for the client's departure from now on."""
        visit.receiving_until = None

    def end(self, visit: Visit) -> None:
        """Stop looking after `visit`; its task is not cancelled from here any more."""
        self.open_count -= 1
        if visit.ended_by is None:
            visit.ended_by = "answer"
        self._young.discard(visit)
        self._old.discard(visit)
        if visit.waiter is not None:
            visit.waiter.cancel()

    def close(self) -> None:
        """Stop the timer and all waiters; the requests themselves go on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for visit in self._young | self._old:
            if visit.waiter is not None:
                visit.waiter.cancel()
        self._young.clear()
        self._old.clear()

    def _watch(self, visit: Visit) -> None:
        self._young.add(visit)
        if self._timer is None:
            self._loop = asyncio.get_running_loop()
            self._timer = self._loop.call_later(TURN_S, self._turn)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        for visit in self._old:
            if visit.receiving_until is not None:
                if loop.time() > visit.receiving_until and visit.ended_by is None:
                    visit.ended_by = "slow body"
                    visit.task.cancel()
            elif visit.waiter is None and not visit.is_told:
                visit.waiter = loop.create_task(_wait(visit))
        self._old |= self._young
        self._young = set()
        self._timer = loop.call_later(TURN_S, self._turn) if self._old else None


async def _wait(visit: Visit) -> None:
    while (await visit.receive())["type"] != "http.disconnect":
        pass  # the body of a request whose handler does not read it
    visit.leave()

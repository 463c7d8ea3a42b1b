"""Clients that go away, and bodies that never arrive: whoever handles such a request is cancelled.

ASGI tells of a disconnect only to who waits in `receive()`. A task for that beside every request costs 15 to 20 % of a
point read (measured on uvicorn), so nothing waits at first: one timer turns every 20 ms while requests are open, and only those it
meets twice get a waiter. A point read is over by then; a scan is interrupted 20 to 40 ms after its client left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Literal

TURN_S: Final = 0.02

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Visit:
    """One request while it is handled."""

    __slots__ = ("ended_by", "receive", "receiving_until", "task", "waiter")

    def __init__(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        self.receive = receive
        self.task = task
        self.receiving_until: float | None = None
        """While the handler reads the body: until when, by the loop's clock; only one may call `receive`."""
        self.ended_by: Literal["departure", "slow body"] | None = None
        """Why the handler was cancelled, if it was cancelled from here."""
        self.waiter: asyncio.Task[None] | None = None


class Departures:
    """All requests that are open, and the timer that looks after them."""

    def __init__(self) -> None:
        self._young: set[Visit] = set()
        self._old: set[Visit] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.departed_count = 0
        """Requests cancelled because their client left."""

    @property
    def open_count(self) -> int:
        """How many requests are open."""
        return len(self._young) + len(self._old)

    def begin(self, receive: Receive) -> Visit:
        """Look after the request of the current task; call `end` when it is over, however it ends."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is handled by a task")
        visit = Visit(receive, task)
        self._young.add(visit)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TURN_S, self._turn)
        return visit

    def expect_body(self, visit: Visit, timeout_s: float) -> None:
        """Leave `receive` to the handler until `body_came`; after `timeout_s` the handler is cancelled."""
        visit.receiving_until = asyncio.get_running_loop().time() + timeout_s

    def body_came(self, visit: Visit) -> None:
        """Watch for the client's departure from now on."""
        visit.receiving_until = None

    def end(self, visit: Visit) -> None:
        """Stop looking after `visit`; its task is not cancelled from here any more."""
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
            self.end(visit)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        for visit in self._old:
            if visit.receiving_until is not None:
                if loop.time() > visit.receiving_until:
                    self._cancel(visit, "slow body")
            elif visit.waiter is None:
                visit.waiter = loop.create_task(self._wait(visit))
        self._old |= self._young
        self._young = set()
        self._timer = loop.call_later(TURN_S, self._turn) if self._old else None

    async def _wait(self, visit: Visit) -> None:
        while (await visit.receive())["type"] != "http.disconnect":
            pass  # the body of a request whose handler does not read it
        self.departed_count += 1
        self._cancel(visit, "departure")

    def _cancel(self, visit: Visit, reason: Literal["departure", "slow body"]) -> None:
        if visit.ended_by is None:
            visit.ended_by = reason
            visit.task.cancel()

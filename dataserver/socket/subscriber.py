"""One client as the hub knows it: who it is, what it follows, what waits to be read by it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dataserver.socket.endings import SLOW
from dataserver.socket.outbox import Outbox

if TYPE_CHECKING:
    from chat import Session
    from dataserver.socket.endings import Ending
    from dataserver.socket.flushes import Flushes
    from dataserver.socket.following import Follow
    from dataserver.socket.frames import Frame
    from dataserver.socket.links import FrameTaker

WRITE_BYTES: Final = 65_536
"""That leave together: the transport's own buffer takes no more before it makes its writer wait."""


class Subscriber:
    """What is told to a client; one task takes it away, anybody may add to it and never waits.

    While that task has nothing to do, and the client reads, what is added leaves without it, at the end of the turn.
    """

    __slots__ = (
        "_flushes",
        "_is_due",
        "_room",
        "_taker",
        "_wake",
        "ending",
        "follows",
        "outbox",
        "session",
        "status",
    )

    def __init__(self, session: Session | None, max_waiting_bytes: int) -> None:
        self.session = session
        """None until it has said who it is."""
        self.status = "online"
        self.outbox = Outbox(max_waiting_bytes)
        self.follows: dict[int, Follow] = {}
        self.ending: Ending | None = None
        """Set once it is to be closed."""
        self._wake: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._taker: FrameTaker | None = None
        self._flushes: Flushes | None = None
        self._is_due = False

    def leave_by(self, taker: FrameTaker, flushes: Flushes) -> None:
        """Let frames leave by `taker` when `flushes` says so, unless the writing task is at work or has to wait."""
        self._taker, self._flushes = taker, flushes

    def push(self, frame: Frame) -> None:
        """Add a frame; a client that reads too slowly is ended instead."""
        if self.ending is not None:
            return
        if not self.outbox.put(frame):
            self.outbox.clear()  # it will have all of it when it comes back
            self.end(SLOW)
        elif self._wake is not None and not self._is_due:
            if self._flushes is None:
                self._wake_writer()
            else:
                self._is_due = True
                self._flushes.add(self)

    def flush(self) -> int:
        """Send what waits if it can leave now, else wake the task that can wait; return how many bytes left."""
        self._is_due = False
        taker = self._taker
        if self._wake is None or self.ending is not None or taker is None:
            return 0
        if not taker.is_ready():
            self._wake_writer()
            return 0
        before = self.outbox.waiting_bytes
        taker.write_frames([frame.wire for frame in self._taken()])
        if self.outbox:
            self._wake_writer()
        return before - self.outbox.waiting_bytes

    def end(self, ending: Ending) -> None:
        """Have the client closed after what waits for it; the first reason counts."""
        if self.ending is None:
            self.ending = ending
            for follow in self.follows.values():
                follow.end()
            for future in (self._wake, self._room):
                if future is not None:
                    _set(future)

    async def frames(self) -> list[Frame]:
        """Return what leaves next; none once it is ended and all has left. For one task alone."""
        while not self.outbox and self.ending is None:
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        return self._taken()

    def _taken(self) -> list[Frame]:
        taken = self.outbox.take(WRITE_BYTES)
        if self._room is not None and self.outbox.is_half_empty:
            _set(self._room)
            self._room = None
        return taken

    def _wake_writer(self) -> None:
        if self._wake is not None:
            _set(self._wake)
            self._wake = None

    async def until_half_empty(self) -> None:
        """Wait until half of what may wait has left, or the client is ended."""
        while not self.outbox.is_half_empty and self.ending is None:
            room = self._room
            if room is None:
                room = self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(room)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

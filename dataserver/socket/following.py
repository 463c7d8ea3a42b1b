"""One stream as one client follows it: what it missed, then what happens, without a gap and nothing twice. Pure.

The client listens first, then the missed events are read, then live events go on where the reading ended. What is heard
while events are read is held, but only so much of it: what does not fit is forgotten, since it is on disk, and the
reading goes on past it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataserver.socket.frames import Frame

MAX_HELD_COUNT: Final = 64


class Follow:
    """How far a client has been told of a stream."""

    __slots__ = (
        "_held",
        "_is_live",
        "_push",
        "_read_until",
        "is_over",
        "left_spaces",
        "reached",
        "space_id",
        "stream_id",
    )

    def __init__(self, stream_id: int, push: Callable[[Frame], None]) -> None:
        self.stream_id = stream_id
        self.space_id: int | None = None
        """The space that one has to be a member of; 0 for a user's own stream, None until it is known."""
        self.left_spaces: list[int] = []
        """Spaces that the user left before it was known: what was found out about them is old."""
        self.reached = 0
        """The seq of the last event that was passed on, or need not be."""
        self.is_over = False
        """Nothing is passed on any more."""
        self._push = push
        self._held: list[tuple[int, Frame]] | None = None
        self._is_live = False
        self._read_until = 0

    def begin(self, space_id: int, reached: int, read_until: int) -> None:
        """Take note of where the client stands, and up to which seq it has to be read for the client."""
        self.space_id = space_id
        self.reached = reached
        self._read_until = max(read_until, self._read_until)

    def hear(self, seq: int, frame: Frame) -> None:
        """Take an event that was committed."""
        if self._is_live:
            if seq > self.reached:
                self.reached = seq
                self._push(frame)
        elif not self.is_over:
            self._hold(seq, frame)

    def take_read(self, seq: int, frame: Frame) -> None:
        """Take an event that was read; they come in their order."""
        if seq > self.reached and not self.is_over:
            self.reached = seq
            self._push(frame)

    @property
    def is_behind(self) -> bool:
        """Whether events after `reached` have to be read."""
        return not self.is_over and self.reached < self._read_until

    def go_live(self) -> None:
        """Pass on what was held, and from now on everything as it is heard.

        Raises:
            RuntimeError: Events have to be read first.
        """
        if self.is_behind:
            raise RuntimeError("events have to be read first")
        if self.is_over:
            return
        self._is_live = True
        held, self._held = self._held, None
        for seq, frame in held or ():
            self.hear(seq, frame)

    def end(self) -> None:
        """Pass nothing on any more."""
        self.is_over = True
        self._is_live = False
        self._held = None

    def _hold(self, seq: int, frame: Frame) -> None:
        if self._held is None:
            self._held = []
        if len(self._held) < MAX_HELD_COUNT:
            self._held.append((seq, frame))
            return
        self._held.clear()
        self._read_until = seq

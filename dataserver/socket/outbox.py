"""What waits to be read by one client, bounded by its bytes. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataserver.socket.frames import Frame


class Outbox:
    """Frames in the order in which they leave."""

    __slots__ = ("_frames", "_max_bytes", "waiting_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._frames: deque[Frame] = deque()
        self._max_bytes = max_bytes
        self.waiting_bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def is_half_empty(self) -> bool:
        """Whether more than half of the bytes are free."""
        return self.waiting_bytes * 2 < self._max_bytes

    def put(self, frame: Frame) -> bool:
        """Add a frame, and return whether it fits; one that is larger than the bound fits while it is alone."""
        waiting_bytes = self.waiting_bytes + frame.size
        if waiting_bytes > self._max_bytes and self._frames:
            return False
        self.waiting_bytes = waiting_bytes
        self._frames.append(frame)
        return True

    def take(self, max_bytes: int) -> list[Frame]:
        """Return the frames that leave next: at least one if there is any, and no more than `max_bytes` of them."""
        taken: list[Frame] = []
        taken_bytes = 0
        while self._frames and (not taken or taken_bytes + self._frames[0].size <= max_bytes):
            frame = self._frames.popleft()
            taken_bytes += frame.size
            taken.append(frame)
        self.waiting_bytes -= taken_bytes
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._frames.clear()
        self.waiting_bytes = 0

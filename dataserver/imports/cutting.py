"""A stream of bytes cut behind line ends, into pieces that a writer takes one by one. Pure."""

from __future__ import annotations


class Cutter:
    """What came of a stream and is not stored yet."""

    def __init__(self, piece_bytes: int) -> None:
        self._piece_bytes = piece_bytes
        self._waiting = bytearray()
        self._wanted_bytes = piece_bytes

    @property
    def waiting_bytes(self) -> int:
        """How much is held."""
        return len(self._waiting)

    def push(self, came: bytes) -> None:
        """Take what came."""
        self._waiting += came

    def piece(self) -> bytes | None:
        """Return lines of about the size of a piece; None as long as there is less, or no line end."""
        if len(self._waiting) < self._wanted_bytes:
            return None
        end = self._waiting.rfind(b"\n", 0, self._wanted_bytes) + 1 or self._waiting.find(b"\n") + 1
        if end == 0:
            self._wanted_bytes = 2 * len(self._waiting)  # not to look at the same bytes at each push
            return None
        return bytes(memoryview(self._waiting)[:end])

    def rest(self) -> bytes:
        """Return all that is held, for the end of the stream."""
        return bytes(self._waiting)

    def done(self, size_bytes: int) -> None:
        """Drop so much from the beginning; if that is not all of a piece, more has to come before the next one."""
        del self._waiting[:size_bytes]
        self._wanted_bytes = self._piece_bytes if size_bytes else 2 * len(self._waiting)

    def header(self) -> bytes | None:
        """Return the first record of a CSV with its line end, and drop it; None until it is there."""
        end = self._waiting.find(b"\n") + 1
        while end and self._waiting.count(b'"', 0, end) % 2:
            end = self._waiting.find(b"\n", end) + 1
        if end == 0:
            return None
        header = bytes(memoryview(self._waiting)[:end])
        del self._waiting[:end]
        return header

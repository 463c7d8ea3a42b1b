"""Bytes to batches of messages and back; pure.

A frame is its length in 4 bytes (big-endian) and one MessagePack array of messages, each of which was encoded by
itself: a value that can't be encoded then fails alone, not with its neighbours.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_FRAME_BYTES = 1 << 30
"""The largest frame that is read; a longer one is an error of the sender, or garbage."""

MAX_MESSAGE_BYTES = 1 << 28
"""The largest single message that is sent; bulk bytes go as buffers or bodies."""

_HEAD = struct.Struct(">IBI")  # length of the rest, the tag of a 32-bit array, its number of items
_ARRAY32 = 0xDD
_LENGTH_BYTES = 4
_READ_BYTES = 256 * 1024
_KEEP_BYTES = 1024 * 1024


class FrameError(Exception):
    """The bytes are no frames; the connection is of no more use."""


def frame(messages: Sequence[bytes]) -> bytes:
    """Return the frame that holds `messages`, each encoded by itself."""
    rest = _HEAD.size - _LENGTH_BYTES + sum(map(len, messages))
    return b"".join((_HEAD.pack(rest, _ARRAY32, len(messages)), *messages))


class FrameBuffer:
    """Collects bytes as they come and gives back whole frames; it grows with a large frame and shrinks after it."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._data = bytearray(_READ_BYTES)
        self._view = memoryview(self._data)
        self._start = 0
        self._end = 0

    def writable(self) -> memoryview:
        """Return the free room to read into; call `filled` with what was read."""
        if self._start == self._end:
            self._start = self._end = 0
            if len(self._data) > _KEEP_BYTES:
                self._resize(_READ_BYTES)
        elif len(self._data) - self._end < _READ_BYTES // 2:
            self._make_room()
        return self._view[self._end :]

    def filled(self, count_bytes: int) -> None:
        """Take note that `count_bytes` were read into `writable()`."""
        self._end += count_bytes

    def frames(self) -> Iterator[memoryview]:
        """Yield the payload of each whole frame; a payload is valid until the next `writable`.

        Raises:
            FrameError: A length above the most that a frame may have here.
        """
        while self._end - self._start >= _LENGTH_BYTES:
            length = self._next_length()
            begin = self._start + _LENGTH_BYTES
            if self._end - begin < length:
                return
            self._start = begin + length
            yield self._view[begin : begin + length]

    def _next_length(self) -> int:
        length = int.from_bytes(self._view[self._start : self._start + _LENGTH_BYTES], "big")
        if length > self._max_frame_bytes:
            raise FrameError(f"a frame of {length} bytes; at most {self._max_frame_bytes} are allowed")
        return length

    def _make_room(self) -> None:
        held = self._end - self._start
        needed = held + _READ_BYTES
        if held >= _LENGTH_BYTES:
            needed = max(needed, self._next_length() + _LENGTH_BYTES)
        if needed > len(self._data):
            self._resize(max(needed, min(2 * len(self._data), MAX_FRAME_BYTES)))
        else:
            self._view[:held] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, held

    def _resize(self, size_bytes: int) -> None:
        held = self._end - self._start
        data = bytearray(size_bytes)
        data[:held] = self._view[self._start : self._end]
        self._data, self._view = data, memoryview(data)
        self._start, self._end = 0, held

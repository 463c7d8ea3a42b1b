"""What goes out to clients: a text made once, shared by all whom it goes to. Pure.

A frame of a server is not masked, so its bytes are the same for every client: they are made once too, where the server
offers to take them as they are.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_TEXT: Final = 0x81
"""A whole text frame."""
_SHORT: Final = 126
_MIDDLE: Final = 65_536

_encode: Final = msgspec.json.Encoder().encode


class Frame:
    """One message to clients."""

    __slots__ = ("payload", "position", "size", "wire")

    def __init__(self, payload: bytes, position: int = 0) -> None:
        self.payload = payload
        """JSON, as UTF-8."""
        self.position = position
        """Of an event: its place among all committed ones; 0 for everything else."""
        self.wire = _head(len(payload)) + payload
        """The same as a frame of RFC 6455."""
        self.size = len(self.wire)


def event_frame(json: str, position: int) -> Frame:
    """Return the frame of an event."""
    return Frame(b'{"event":%b}' % json.encode(), position)


def answer_frame(command_id: int | None, result: Any) -> Frame:
    """Return the frame that answers a command which succeeded."""
    return Frame(_encode({"id": command_id, "ok": result}))


def notice_frame(kind: str, told: Any) -> Frame:
    """Return the frame of something that is told without having been asked for, and is no event."""
    return Frame(_encode({kind: told}))


def _head(length: int) -> bytes:
    if length < _SHORT:
        return bytes((_TEXT, length))
    if length < _MIDDLE:
        return bytes((_TEXT, 126)) + length.to_bytes(2, "big")
    return bytes((_TEXT, 127)) + length.to_bytes(8, "big")

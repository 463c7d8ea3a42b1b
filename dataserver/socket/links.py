"""How frames leave a connection: as the server takes them best. The one difference between servers that sockets see.

uvicorn's own way encodes every message for every client and makes three objects of it; ours (`framed_socket.py`) takes
finished frames, shared by all who get them, many at a time. Any other server is handed texts, one by one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from dataserver.answers import Send
    from dataserver.socket.endings import Ending
    from dataserver.socket.frames import Frame

EXTENSION: Final = "dataserver.frames"
CLOSE_WAIT_S: Final = 5.0
"""How long a client may take to read what is left before it is told why it is closed."""


class Link(Protocol):
    """The way out of one connection."""

    @property
    def taker(self) -> FrameTaker | None:
        """What takes frames without waiting; None where there is no such thing."""

    async def write(self, frames: Sequence[Frame]) -> None:
        """Send frames in their order; returns once there is room for more."""


class FrameTaker(Protocol):
    """What a server offers under `EXTENSION`."""

    def is_ready(self) -> bool:
        """Tell whether frames may be sent now, and what is kept is little."""

    def write_frames(self, wires: Sequence[bytes]) -> None:
        """Send finished frames; what can't leave at once is kept."""

    async def until_writable(self) -> None:
        """Wait until what is kept is little."""


class FramedLink:
    """Hands over finished frames."""

    __slots__ = ("taker",)

    def __init__(self, taker: FrameTaker) -> None:
        self.taker = taker

    async def write(self, frames: Sequence[Frame]) -> None:
        """Send frames; they are not copied."""
        await self.taker.until_writable()
        self.taker.write_frames([frame.wire for frame in frames])
        await self.taker.until_writable()


class TextLink:
    """Hands over texts, as ASGI has it."""

    __slots__ = ("_send",)
    taker: FrameTaker | None = None

    def __init__(self, send: Send) -> None:
        self._send = send

    async def write(self, frames: Sequence[Frame]) -> None:
        """Send frames one by one."""
        for frame in frames:
            await self._send({"type": "websocket.send", "text": frame.payload.decode()})


def link_of(scope: MutableMapping[str, Any], send: Send) -> Link:
    """Return the best way out that the server of this connection offers."""
    taker = scope.get("extensions", {}).get(EXTENSION)
    return TextLink(send) if taker is None else FramedLink(taker)


async def closed(send: Send, ending: Ending) -> None:
    """Tell the client why it is closed, if it takes that within `CLOSE_WAIT_S`."""
    try:
        async with asyncio.timeout(CLOSE_WAIT_S):
            await send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})
    except TimeoutError:
        return  # it reads nothing: the kernel gives it up

"""uvicorn's WebSocket with a way out for finished frames, and a bound on the answers to pings, which it lacks.

A frame of a server is the same for all its clients, so it is made once and its bytes are written as they are; 2,000
clients of an event share them. A peer that sends pings and reads nothing would have its pongs collected here. Two lines
in the log for each connection are left out: they tell nothing, and are the client's to multiply.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from typing_extensions import override
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from dataserver.socket.links import EXTENSION

MAX_UNSENT_PONG_BYTES: Final = 128 * 1024

_logger = logging.getLogger("uvicorn.error.websocket")
_logger.setLevel(logging.WARNING)


class FramedSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which takes finished frames too."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.logger = self.conn.logger = _logger

    @override
    async def run_asgi(self) -> None:
        self.scope["extensions"] = {**(self.scope["extensions"] or {}), EXTENSION: self}  # type: ignore[dict-item] # uvicorn types them as plain data
        await super().run_asgi()

    def is_ready(self) -> bool:
        """Tell whether frames may be sent now, and what is kept is little."""
        return self.writable.is_set() and not (
            self.disconnected or self.close_sent or self.transport.is_closing()
        )

    def write_frames(self, wires: Sequence[bytes]) -> None:
        """Send finished frames; what can't leave at once is kept.

        Raises:
            ClientDisconnected: The client is gone, or was told that it is closed.
        """
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        if len(wires) == 1:
            self.transport.write(wires[0])
        else:
            self.transport.writelines(wires)

    async def until_writable(self) -> None:
        """Wait until what is kept is little."""
        if not self.writable.is_set():
            await self.writable.wait()

    @override
    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > MAX_UNSENT_PONG_BYTES:
            self.transport.abort()
            return
        super().handle_ping()

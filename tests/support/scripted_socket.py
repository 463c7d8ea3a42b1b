"""WebSocket servers in the test's own loop that do what a test says, once hands are shaken."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class Peer:
    """One connection."""

    def __init__(self, stream: SocketStream, protocol: ServerProtocol) -> None:
        self.stream = stream
        self.protocol = protocol
        self._came: list[Any] = []

    async def flush(self) -> None:
        """Send what the protocol wants sent."""
        for data in self.protocol.data_to_send():
            if data:
                await self.stream.send(data)

    async def say(self, *messages: Any) -> None:
        """Send messages as JSON, together."""
        for message in messages:
            self.protocol.send_text(msgspec.json.encode(message))
        await self.flush()

    async def heard(self) -> Any:
        """Return the next message."""
        while not self._came:
            self.protocol.receive_data(await self.stream.receive())
            self._came += [
                msgspec.json.decode(bytes(frame.data))
                for frame in self.protocol.events_received()
                if isinstance(frame, Frame) and frame.opcode is Opcode.TEXT
            ]
            await self.flush()
        return self._came.pop(0)


@asynccontextmanager
async def scripted_socket(act: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve connections that `act`; one that ends by itself is closed."""

    async def handle(stream: SocketStream) -> None:
        protocol = ServerProtocol()
        async with stream:
            while not (requests := protocol.events_received()):
                protocol.receive_data(await stream.receive())
            assert isinstance(requests[0], Request)
            protocol.send_response(protocol.accept(requests[0]))
            peer = Peer(stream, protocol)
            await peer.flush()
            try:
                await act(peer)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return  # the client has left

    async with listening(handle) as url:
        yield url


@asynccontextmanager
async def listening(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve plain connections."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        try:
            yield f"ws://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/v1/ws"  # noqa: S610 - no Django here
        finally:
            group.cancel_scope.cancel()

"""A TCP proxy on loopback that cuts, delays, and sends requests a second time, whole or in half; all by a seed."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import anyio
from anyio.abc import SocketAttribute, SocketStream

_PIECE_BYTES = 4_096
_MAX_KEPT_BYTES = 65_536
_CONNECT_LIMIT_S = 5.0
_RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: closing drops what was not sent, and the other end sees a reset."""


@dataclass(frozen=True, kw_only=True)
class Flaws:
    """How often a piece of up to 4 KiB, either way, meets what."""

    cut: float = 0.01
    """The connection ends within the piece, for both sides."""
    delay: float = 0.05
    max_delay_s: float = 0.05
    replay: float = 0.01
    """Of pieces from the client: all it sent so far goes out again on another connection, up to a random place."""


@dataclass
class Done:
    """What the proxy did."""

    connections: int = 0
    cuts: int = 0
    delays: int = 0
    replays: int = 0


@dataclass
class FlakyProxy:
    """Stands before one server, whose port may change: it may be restarted."""

    flaws: Flaws
    seed: int
    target_port: int
    done: Done = field(default_factory=Done)
    port: int = 0

    async def handle(self, client: SocketStream) -> None:
        """Pass one connection on, in its fashion."""
        self.done.connections += 1
        chance = Random(f"{self.seed}/{self.done.connections}")  # noqa: S311 - to be repeated
        async with client:
            try:
                with anyio.fail_after(_CONNECT_LIMIT_S):
                    server = await anyio.connect_tcp("127.0.0.1", self.target_port)
            except (OSError, TimeoutError):
                _reset(client)
                return
            async with server, anyio.create_task_group() as pumps:
                connection = _Connection(self, client, server, chance, pumps)
                pumps.start_soon(connection.pump, client, server, True)
                pumps.start_soon(connection.pump, server, client, False)


class _Connection:
    def __init__(
        self,
        proxy: FlakyProxy,
        client: SocketStream,
        server: SocketStream,
        chance: Random,
        pumps: anyio.abc.TaskGroup,
    ) -> None:
        self._proxy = proxy
        self._both = (client, server)
        self._chance = chance
        self._pumps = pumps
        self._kept = bytearray()

    async def pump(self, source: SocketStream, sink: SocketStream, is_request: bool) -> None:
        flaws, done, chance = self._proxy.flaws, self._proxy.done, self._chance
        try:
            async for piece in _pieces(source):
                if is_request and len(self._kept) < _MAX_KEPT_BYTES:
                    self._kept += piece
                    if chance.random() < flaws.replay:
                        done.replays += 1
                        await self._replay(bytes(self._kept[: chance.randint(1, len(self._kept))]))
                if chance.random() < flaws.delay:
                    done.delays += 1
                    await anyio.sleep(chance.random() * flaws.max_delay_s)
                if chance.random() < flaws.cut:
                    done.cuts += 1
                    await sink.send(piece[: chance.randint(0, len(piece))])
                    break
                await sink.send(piece)
            else:
                await sink.send_eof()
                return
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            pass  # whichever side it was, both end now
        for each in self._both:
            _reset(each)
        self._pumps.cancel_scope.cancel()

    async def _replay(self, said: bytes) -> None:
        try:
            with anyio.move_on_after(_CONNECT_LIMIT_S):
                async with await anyio.connect_tcp("127.0.0.1", self._proxy.target_port) as again:
                    await again.send(said)
                    with anyio.move_on_after(0.05):
                        await again.receive()
        except (anyio.BrokenResourceError, anyio.EndOfStream, OSError):
            return  # the server takes it or not; nobody waits for the answer


async def _pieces(source: SocketStream) -> AsyncIterator[bytes]:
    while True:
        try:
            yield await source.receive(_PIECE_BYTES)
        except anyio.EndOfStream:
            return


def _reset(stream: SocketStream) -> None:
    try:
        raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django here
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        return  # it is closed already


@asynccontextmanager
async def flaky_proxy(
    target_port: int, *, seed: int, flaws: Flaws | None = None
) -> AsyncIterator[FlakyProxy]:
    """Run a proxy to a server on loopback; connections that are open at the end are cut."""
    proxy = FlakyProxy(flaws or Flaws(), seed, target_port)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    proxy.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy.handle)
        yield proxy
        tasks.cancel_scope.cancel()

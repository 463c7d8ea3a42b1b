"""Clients that leave while a request is handled, as the kernel sees them.

For a server that does not look (h2corn 2.0.0, over HTTP/1.1, until it writes). Its sockets are found by their peer's
address among this process's descriptors, and the kernel is asked (`POLLRDHUP`) every 10 ms while any handler waits to
hear of a departure. A descriptor may be closed and used again at any time, so the peer is compared before and after.
Where the kernel can't tell (macOS), a departure is seen at the next write.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_LOOK_S = 0.01

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Peer:
    """The other end of one HTTP/1.1 request, whose `receive` tells of its departure."""

    __slots__ = ("_address", "_peers", "_receive", "_send", "_whole", "begun", "left")

    def __init__(self, peers: Peers, address: tuple[str, int] | None, receive: Receive, send: Send) -> None:
        self._peers = peers
        self._address = address
        self._receive = receive
        self._send = send
        self._whole = False
        self.left = False
        self.begun = False
        """Whether an answer has begun."""

    async def send(self, message: Message) -> None:
        """Send a piece of the answer."""
        self.begun = True
        await self._send(message)

    async def receive(self) -> Message:
        """Return the next piece of the request; behind the last one, wait for the departure."""
        if self._whole and self._address is not None:
            message = await self._peers.departure(self._address)
        else:
            message = await self._receive()
            self._whole = not message.get("more_body", False)
        self.left = message["type"] == "http.disconnect"
        return message


class Peers:
    """The other ends of connections whose handlers wait to hear that they left."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], asyncio.Future[Message]] = {}
        self._descriptors: dict[tuple[str, int], int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def meet(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> Peer:
        """Return the peer of one request."""
        client = scope.get("client") if hasattr(select, "POLLRDHUP") else None
        return Peer(self, None if client is None else (client[0], client[1]), receive, send)

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()

    async def departure(self, peer: tuple[str, int]) -> Message:
        """Return when `peer` has left; the message says so."""
        future = self._waiting.get(peer)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._waiting[peer] = loop.create_future()
            if self._timer is None:
                self._timer = loop.call_later(_LOOK_S, self._look)
        try:
            return await asyncio.shield(future)
        finally:
            self._waiting.pop(peer, None)

    def _look(self) -> None:
        self._timer = None
        if any(peer not in self._descriptors for peer in self._waiting):
            self._descriptors = _connected_descriptors()
        poll = select.poll()
        watched: dict[int, tuple[str, int]] = {}
        for peer in list(self._waiting):
            fd = self._descriptors.get(peer)
            if fd is None or _peer_of(fd) != peer:
                self._tell(peer)  # closed already
            else:
                watched[fd] = peer
                poll.register(fd, select.POLLRDHUP)
        for fd, events in poll.poll(0):
            if events and _peer_of(fd) == watched[fd]:
                self._tell(watched[fd])
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _tell(self, peer: tuple[str, int]) -> None:
        self._descriptors.pop(peer, None)
        future = self._waiting.pop(peer, None)
        if future is not None and not future.done():
            future.set_result({"type": "http.disconnect"})


def _connected_descriptors() -> dict[tuple[str, int], int]:
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, no paths
        peer = _peer_of(int(name))
        if peer is not None:
            found[peer] = int(name)
    return found


def _peer_of(fd: int) -> tuple[str, int] | None:
    """Return the address at the other end of a TCP socket; None for any other descriptor, or none at all."""
    try:
        borrowed = socket.socket(fileno=fd)
    except OSError:
        return None
    try:
        if borrowed.family not in {socket.AF_INET, socket.AF_INET6}:
            return None
        host, port = borrowed.getpeername()[:2]
    except OSError:
        return None
    finally:
        borrowed.detach()
    return host, port

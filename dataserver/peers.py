"""Clients that leave while a request is handled, as the kernel sees them.

For a server that does not look (h2corn 2.0.0, over HTTP/1.1, until it writes). Every 20 ms, requests that have been
open for a turn have their socket found by its peer's address among this process's descriptors, and from then on the
kernel is asked with one `poll` for all of them whether the other end has closed. A descriptor that the server closed
and used again belongs to somebody else, but then the client it was watched for is gone all the more.
Where the kernel can't tell (macOS), a departure is seen at the next write.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable
from typing import Final

LOOK_S: Final = 0.02

Address = tuple[str, int]
Leave = Callable[[], None]


class Peers:
    """The other ends of connections on which requests are open."""

    def __init__(self) -> None:
        self._young: dict[Address, Leave] = {}
        self._old: dict[Address, tuple[int, Leave]] = {}
        self._watched: dict[int, Address] = {}
        self._descriptors: dict[Address, int] = {}
        """Of all connections, as they were when one of them was looked for in vain."""
        self._poll = select.poll() if hasattr(select, "POLLRDHUP") else None
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, peer: Address, leave: Leave) -> None:
        """Call `leave` when `peer` has closed its end, until `forget`."""
        self._young[peer] = leave
        if self._timer is None and self._poll is not None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look, self._poll)

    def forget(self, peer: Address) -> None:
        """Look after `peer` no more; nothing happens if nobody did."""
        if self._young.pop(peer, None) is None:
            descriptor, _ = self._old.pop(peer, (None, None))
            if descriptor is not None and self._poll is not None and self._watched.get(descriptor) == peer:
                del self._watched[descriptor]
                self._poll.unregister(descriptor)

    def leave(self) -> None:
        """Take every other end for closed."""
        for peer, leave in [*self._young.items(), *((peer, leave) for peer, (_, leave) in self._old.items())]:
            self.forget(peer)
            leave()

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, poll: select.poll) -> None:
        for descriptor, _ in poll.poll(0):
            self._left(self._watched[descriptor])
        if self._young:
            young, self._young = self._young, {}
            if any(_peer_of(self._descriptors.get(peer, -1)) != peer for peer in young):
                self._descriptors = _connected_descriptors()
            for peer, leave in young.items():
                descriptor = self._descriptors.get(peer, -1)
                if descriptor in self._watched:
                    self._left(self._watched[descriptor])
                self._old[peer] = descriptor, leave
                if descriptor < 0:
                    self._left(peer)
                else:
                    self._watched[descriptor] = peer
                    poll.register(descriptor, select.POLLRDHUP)
        looking = bool(self._old or self._young)
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look, poll) if looking else None

    def _left(self, peer: Address) -> None:
        _, leave = self._old[peer]
        self.forget(peer)
        leave()


class Peer:
    """The other end of one request's connection."""

    __slots__ = ("_leave", "_peers", "address", "left")

    def __init__(self, peers: Peers, address: Address) -> None:
        self._peers = peers
        self._leave: Leave | None = None
        self.address = address
        self.left = False

    def watch(self, leave: Leave) -> None:
        """Call `leave` when this end leaves."""
        self._leave = leave
        self._peers.watch(self.address, self._has_left)

    def _has_left(self) -> None:
        self.left = True
        if self._leave is not None:
            self._leave()


def _connected_descriptors() -> dict[Address, int]:
    """Return the descriptors of this process's connected TCP sockets by their peers."""
    found: dict[Address, int] = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, no paths
        peer = _peer_of(int(name))
        if peer is not None:
            found[peer] = int(name)
    return found


def _peer_of(descriptor: int) -> Address | None:
    """Return the address at the other end of a TCP socket; None for any other descriptor, or none at all."""
    if descriptor < 0:
        return None
    try:
        borrowed = socket.socket(fileno=descriptor)
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

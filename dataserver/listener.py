"""The listening socket, with the options that every accepted connection inherits.

A peer that stops reading holds memory here until the kernel gives it up: 20 to 45 s by default, 5 s with
`TCP_USER_TIMEOUT` and a send buffer that fills early. One that vanished without a word is found by keep-alive probes.
"""

from __future__ import annotations

import socket
from typing import Final

import anyio

UNREAD_TIMEOUT_MS: Final = 5_000
SEND_BUFFER_BYTES: Final = 64 * 1024
"""Linux doubles it. More would only hide for longer that a peer does not read."""
_BACKLOG = 2_048
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


async def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets for every address of `host`, all with one port; port 0 takes a free one.

    Raises:
        OSError: The name is unknown, or an address is taken or not ours.
    """
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listener = _listener(family, (address[0], port))
            listeners.append(listener)
            port = listener.getsockname()[1]
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listener(family: socket.AddressFamily, address: tuple[str | int, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIMEOUT_MS)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener

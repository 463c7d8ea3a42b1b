"""What a client and the server of the matrix say to each other: lines of JSON, many requests under way at once."""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Literal

import anyio
import msgspec

from chat.queue.clock import Wake

Op = Literal["call", "ask", "log in", "progress", "be fair"]

OK, REFUSED, NOT_LOGGED_IN, CONFLICTING, TOO_MANY, BROKEN = 200, 400, 401, 409, 429, 500
SOCKET = "server.sock"
"""In the folder of the run, which is where all its processes are."""
_CHUNK_BYTES = 65_536


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client wants; `number` comes back in the reply."""

    number: int
    op: Op
    caller: str
    client_id: str = ""
    name: str = ""
    kind: str = ""
    key: str = ""
    account: str = ""


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the server answers."""

    number: int
    status: int = OK
    answer: Any = None
    retry_after_s: float = 0.0


class Lines:
    """Cuts what comes from a socket into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole by now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


class Channel:
    """One connection: a Unix socket that does not block.

    Not a stream of anyio's: on asyncio those report an error of their own when a read is cancelled, or the connection
    broken, while there is something to read.
    """

    def __init__(self, own: socket.socket) -> None:
        own.setblocking(False)
        self._own = own

    @classmethod
    def connected(cls) -> Channel:
        """Return a connection to the server in the present folder.

        Raises:
            OSError: There is none, or it has too much to do.
        """
        own = socket.socket(socket.AF_UNIX)
        try:
            own.setblocking(False)
            own.connect(SOCKET)
        except OSError:
            own.close()
            raise
        return cls(own)

    async def receive(self) -> bytes:
        """Return what has come, b"" once the connection has ended."""
        while True:
            try:
                return self._own.recv(_CHUNK_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(self._own)
            except OSError:
                return b""

    async def send(self, data: bytes) -> None:
        """Send `data`.

        Raises:
            OSError: The connection has ended.
        """
        left = memoryview(data)
        while left:
            try:
                left = left[self._own.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._own)

    def hang_up(self) -> None:
        """End the connection for both sides."""
        with contextlib.suppress(OSError):  # the other side was first
            self._own.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give it back; nobody may wait for it any more."""
        self._own.close()


class Outgoing:
    """What waits to be sent on one connection; giving is a plain call, so nothing is ever sent by halves."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._wake = Wake()

    def put(self, message: Request | Reply) -> None:
        """Have `message` sent."""
        self._lines.append(encoded(message))
        self._wake.set()

    async def run(self, channel: Channel) -> None:
        """Send what is put until the connection breaks."""
        while True:
            self._wake.clear()
            lines, self._lines = self._lines, []
            if not lines:
                await self._wake.wait()
                continue
            try:
                await channel.send(b"".join(lines))
            except OSError:
                return


def encoded(message: Request | Reply) -> bytes:
    """Return `message` as a line."""
    return _encode(message) + b"\n"


_encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_reply = msgspec.json.Decoder(Reply).decode

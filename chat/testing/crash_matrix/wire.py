"""What a client and the server of the matrix say to each other: lines of JSON, many requests under way at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec

from chat.queue.clock import Wake

if TYPE_CHECKING:
    from anyio.abc import ByteStream

Op = Literal["call", "ask", "log in", "progress", "be fair"]

OK, REFUSED, NOT_LOGGED_IN, CONFLICTING, TOO_MANY, BROKEN = 200, 400, 401, 409, 429, 500
SOCKET = "server.sock"
"""In the folder of the run, which is where all its processes are."""


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


class Outgoing:
    """What waits to be sent on one connection; giving is a plain call, so nothing is ever sent by halves."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._wake = Wake()
        self._is_closed = False

    def put(self, message: Request | Reply) -> None:
        """Have `message` sent."""
        self._lines.append(encoded(message))
        self._wake.set()

    def close(self) -> None:
        """Let `run` end: the connection broke."""
        self._is_closed = True
        self._wake.set()

    async def run(self, stream: ByteStream) -> None:
        """Send what is put until the connection breaks."""
        while not self._is_closed:
            self._wake.clear()
            lines, self._lines = self._lines, []
            if not lines:
                await self._wake.wait()
                continue
            try:
                await stream.send(b"".join(lines))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return


def encoded(message: Request | Reply) -> bytes:
    """Return `message` as a line."""
    return _encode(message) + b"\n"


_encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_reply = msgspec.json.Decoder(Reply).decode

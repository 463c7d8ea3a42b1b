"""A WebSocket of JSON messages on either event loop: the protocol is the library's, the stream anyio's."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from chat.errors import AnswerLost, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import ByteStream

MAX_MESSAGE_BYTES: Final = 16 * 1_048_576
MAX_CONNECT_S: Final = 10.0
IDLE_S: Final = 45.0
"""A connection on which nothing came for so long is taken for dead; a ping goes out three times as often."""
_UNSAID: Final = 1006
"""What stands for a close code where none was sent."""
_BROKEN: Final = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class WebSocket:
    """An open connection; made by `open_websocket`."""

    def __init__(self, stream: ByteStream, protocol: ClientProtocol, idle_s: float) -> None:
        self._stream = stream
        self._protocol = protocol
        self._idle_s = idle_s
        self._sending = anyio.Lock()
        self._parts: list[bytes] = []
        self._arrived: list[Any] = []
        self._is_answered = False
        self._garbled: Exception | None = None

    async def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            AnswerLost: The connection is broken.
        """
        await self._do(lambda: self._protocol.send_text(msgspec.json.encode(message)))

    async def ping(self, ended: anyio.Event) -> None:
        """Send pings until `ended` is set or the connection breaks, so that a dead one is known as such."""
        while True:
            with anyio.move_on_after(self._idle_s / 3):
                await ended.wait()
                return
            try:
                await self._do(lambda: self._protocol.send_ping(b""))
            except AnswerLost:
                return  # whoever receives finds that out too

    async def receive(self) -> list[Any]:
        """Return the messages that come next, as many as are there, in order.

        Raises:
            AnswerLost: The connection is broken or was closed; `code` then has its close code.
        """
        while not self._arrived:
            self._check_end()
            with anyio.move_on_after(self._idle_s) as limit:
                await self._read()
            if limit.cancelled_caught:
                raise AnswerLost(f"nothing came for {self._idle_s} s", code="silent")
        arrived, self._arrived = self._arrived, []
        return arrived

    async def shake_hands(self, request: Any) -> None:
        """Open the connection.

        Raises:
            Unreachable: The server does not want it.
        """
        await self._do(lambda: self._protocol.send_request(request))
        while not self._is_answered and self._protocol.state is not State.CLOSED:
            try:
                await self._read()
            except AnswerLost as error:
                raise Unreachable(str(error)) from error
        if not self._is_answered or self._protocol.handshake_exc is not None:
            raise Unreachable(str(self._protocol.handshake_exc)) from self._protocol.handshake_exc

    async def say_goodbye(self) -> None:
        """Close the connection; the other side's answer is not waited for."""
        if self._protocol.state is State.OPEN:
            await self._do(lambda: self._protocol.send_close(1000))

    async def _read(self) -> None:
        try:
            self._protocol.receive_data(await self._stream.receive())
        except anyio.EndOfStream:
            self._protocol.receive_eof()
        except _BROKEN as error:
            raise AnswerLost(f"the connection broke: {error}", code="broken") from error
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._is_answered = True
            else:
                self._take(event)
        if self._protocol.state is not State.CLOSED:  # an end in the middle is a parser's error too
            self._garbled = self._garbled or self._protocol.parser_exc
        await self._do(_nothing)

    def _check_end(self) -> None:
        """Return if more can come; what had come before the end is given first."""
        if self._garbled is not None:
            raise AnswerLost(f"the server sent what nobody can read: {self._garbled}", code="garbled")
        said = self._protocol.close_rcvd
        if said is not None or self._protocol.state is State.CLOSED:
            code, reason = (_UNSAID, "") if said is None else (said.code, said.reason)
            raise AnswerLost(f"the connection was closed: {code} {reason}", code=f"closed_{code}")

    def _take(self, frame: Any) -> None:
        if not isinstance(frame, Frame) or frame.opcode not in {Opcode.TEXT, Opcode.CONT}:
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            try:
                self._arrived.append(msgspec.json.decode(whole))
            except msgspec.MsgspecError as error:
                self._garbled = error

    async def _do(self, act: Callable[[], None]) -> None:
        """Have the protocol act, and send what it wants sent; in order, whoever asks."""
        async with self._sending:
            try:
                act()
                with anyio.fail_after(self._idle_s):
                    for data in self._protocol.data_to_send():
                        if data:
                            await self._stream.send(data)
            except (*_BROKEN, TimeoutError, WebSocketException) as error:
                raise AnswerLost(f"the connection broke: {error}", code="broken") from error


@asynccontextmanager
async def open_websocket(url: str, *, idle_s: float = IDLE_S) -> AsyncIterator[WebSocket]:
    """Connect to `url` (ws: or wss:).

    Raises:
        Unreachable: There is no server, or it does not want this.
    """
    try:
        uri = parse_uri(url)
    except InvalidURI as error:
        raise Unreachable(str(error)) from error
    protocol = ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES)
    try:
        with anyio.fail_after(MAX_CONNECT_S):
            stream: ByteStream = (
                await anyio.connect_tcp(uri.host, uri.port, tls=True, tls_standard_compatible=False)
                if uri.secure
                else await anyio.connect_tcp(uri.host, uri.port)
            )
    except OSError as error:
        raise Unreachable(str(error)) from error
    async with stream:
        socket = WebSocket(stream, protocol, idle_s)
        try:
            with anyio.fail_after(MAX_CONNECT_S):
                await socket.shake_hands(protocol.connect())
        except TimeoutError as error:
            raise Unreachable(f"the server said nothing for {MAX_CONNECT_S:.0f} s") from error
        try:
            yield socket
        finally:
            with anyio.move_on_after(1, shield=True):
                await _quietly(socket)


async def _quietly(socket: WebSocket) -> None:
    try:
        await socket.say_goodbye()
    except AnswerLost:
        return  # it is gone already, which is what was wanted


def _nothing() -> None:
    """Only what waits is to be sent."""

"""The client's WebSocket against servers that break every rule, one each."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from websockets.http11 import Request
from websockets.server import ServerProtocol

from chat import AnswerLost, Unreachable
from chat.client.websocket import open_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LIMIT_S = 10.0
Act = "Callable[[SocketStream, ServerProtocol], Awaitable[None]]"


@asynccontextmanager
async def server(act: Callable[[SocketStream, ServerProtocol], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve connections that `act` once their hands are shaken."""

    async def handle(stream: SocketStream) -> None:
        protocol = ServerProtocol()
        async with stream:
            while not (requests := protocol.events_received()):
                protocol.receive_data(await stream.receive())
            assert isinstance(requests[0], Request)
            protocol.send_response(protocol.accept(requests[0]))
            await flush(stream, protocol)
            await act(stream, protocol)

    async with listening(handle) as url:
        yield url


@asynccontextmanager
async def listening(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        try:
            yield f"ws://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/v1/ws"  # noqa: S610 - no Django here
        finally:
            group.cancel_scope.cancel()


async def flush(stream: SocketStream, protocol: ServerProtocol) -> None:
    for data in protocol.data_to_send():
        if data:
            await stream.send(data)


async def test_messages_arrive_whole_and_in_order_however_they_are_cut(anyio_backend_name: str) -> None:
    del anyio_backend_name

    async def act(stream: SocketStream, protocol: ServerProtocol) -> None:
        protocol.send_text(b'{"n": 1}')
        protocol.send_text(b'{"n"', fin=False)
        protocol.send_continuation(b": 2}", fin=True)
        protocol.send_ping(b"there?")
        data = b"".join(protocol.data_to_send())
        for start in range(0, len(data), 3):
            await stream.send(data[start : start + 3])
        await anyio.sleep_forever()

    async with server(act) as url, open_websocket(url) as socket:
        with anyio.fail_after(LIMIT_S):
            arrived = await socket.receive()
            while len(arrived) < 2:
                arrived += await socket.receive()
        assert arrived == [{"n": 1}, {"n": 2}]


async def test_what_is_sent_arrives() -> None:
    got: list[bytes] = []

    async def act(stream: SocketStream, protocol: ServerProtocol) -> None:
        while not got:
            protocol.receive_data(await stream.receive())
            got.extend(bytes(frame.data) for frame in protocol.events_received())  # type: ignore[union-attr]  # frames alone come now
        protocol.send_text(b'"thanks"')
        await flush(stream, protocol)
        await anyio.sleep_forever()

    async with server(act) as url, open_websocket(url) as socket:
        with anyio.fail_after(LIMIT_S):
            await socket.send({"op": "ping"})
            assert await socket.receive() == ["thanks"]
    assert got == [b'{"op":"ping"}']


async def closes(stream: SocketStream, protocol: ServerProtocol) -> None:
    protocol.send_close(4401, "the session has ended")
    await flush(stream, protocol)
    await anyio.sleep_forever()


async def leaves(stream: SocketStream, protocol: ServerProtocol) -> None:
    del protocol
    await stream.aclose()


async def is_silent(stream: SocketStream, protocol: ServerProtocol) -> None:
    del stream, protocol
    await anyio.sleep_forever()


async def talks_nonsense(stream: SocketStream, protocol: ServerProtocol) -> None:
    protocol.send_text(b"no json")
    await flush(stream, protocol)
    await anyio.sleep_forever()


async def breaks_the_protocol(stream: SocketStream, protocol: ServerProtocol) -> None:
    del protocol
    await stream.send(b"\xff" * 20)
    await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (closes, "closed_4401"),
        (leaves, "closed_1006"),
        (is_silent, "silent"),
        (talks_nonsense, "garbled"),
        (breaks_the_protocol, "garbled"),
    ],
)
async def test_an_end_is_told_as_what_it_is(
    act: Callable[[SocketStream, ServerProtocol], Awaitable[None]], code: str
) -> None:
    idle_s = 0.1 if act is is_silent else LIMIT_S
    async with server(act) as url, open_websocket(url, idle_s=idle_s) as socket:
        with anyio.fail_after(LIMIT_S), pytest.raises(AnswerLost) as caught:
            await socket.receive()
        assert caught.value.code == code


async def test_pings_keep_a_quiet_connection() -> None:
    async def act(stream: SocketStream, protocol: ServerProtocol) -> None:
        for _ in range(4):
            protocol.receive_data(await stream.receive())
            protocol.events_received()
            await flush(stream, protocol)
        protocol.send_text(b'"still here"')
        await flush(stream, protocol)
        await anyio.sleep_forever()

    async with server(act) as url, open_websocket(url, idle_s=0.3) as socket:
        ended = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(socket.ping, ended)
            with anyio.fail_after(LIMIT_S):
                assert await socket.receive() == ["still here"]
            ended.set()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", b"", b"nonsense\r\n\r\n"]
)
async def test_a_server_that_wants_no_websocket_is_not_reached(answer: bytes) -> None:
    async def handle(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            if answer:
                await stream.send(answer)

    async with listening(handle) as url:
        with anyio.fail_after(LIMIT_S), pytest.raises(Unreachable):
            async with open_websocket(url):
                pass


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9/v1/ws", "http://127.0.0.1/", "no address"])
async def test_where_nobody_listens_nothing_is_reached(url: str) -> None:
    with anyio.fail_after(LIMIT_S), pytest.raises(Unreachable):
        async with open_websocket(url):
            pass

"""The client's WebSocket against servers that break every rule, one each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from chat import AnswerLost, Unreachable
from chat.client.websocket import open_websocket
from tests.support.scripted_socket import Peer, listening, scripted_socket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import SocketStream

LIMIT_S = 10.0


async def test_messages_arrive_whole_and_in_order_however_they_are_cut() -> None:
    async def act(peer: Peer) -> None:
        peer.protocol.send_text(b'{"n": 1}')
        peer.protocol.send_text(b'{"n"', fin=False)
        peer.protocol.send_continuation(b": 2}", fin=True)
        peer.protocol.send_ping(b"there?")
        data = b"".join(peer.protocol.data_to_send())
        for start in range(0, len(data), 3):
            await peer.stream.send(data[start : start + 3])
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, open_websocket(url) as socket:
        with anyio.fail_after(LIMIT_S):
            arrived = await socket.receive()
            while len(arrived) < 2:
                arrived += await socket.receive()
        assert arrived == [{"n": 1}, {"n": 2}]


async def test_what_is_sent_arrives() -> None:
    got: list[bytes] = []

    async def act(peer: Peer) -> None:
        while not got:
            peer.protocol.receive_data(await peer.stream.receive())
            got.extend(bytes(frame.data) for frame in peer.protocol.events_received())  # type: ignore[union-attr]  # frames alone come now
        peer.protocol.send_text(b'"thanks"')
        await peer.flush()
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, open_websocket(url) as socket:
        with anyio.fail_after(LIMIT_S):
            await socket.send({"op": "ping"})
            assert await socket.receive() == ["thanks"]
    assert got == [b'{"op":"ping"}']


async def closes(peer: Peer) -> None:
    peer.protocol.send_close(4401, "the session has ended")
    await peer.flush()
    await anyio.sleep_forever()


async def leaves(peer: Peer) -> None:
    await peer.stream.aclose()


async def is_silent(peer: Peer) -> None:
    del peer
    await anyio.sleep_forever()


async def talks_nonsense(peer: Peer) -> None:
    peer.protocol.send_text(b"no json")
    await peer.flush()
    await anyio.sleep_forever()


async def breaks_the_protocol(peer: Peer) -> None:
    await peer.stream.send(b"\xff" * 20)
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
async def test_an_end_is_told_as_what_it_is(act: Callable[[Peer], Awaitable[None]], code: str) -> None:
    idle_s = 0.1 if act is is_silent else LIMIT_S
    async with scripted_socket(act) as url, open_websocket(url, idle_s=idle_s) as socket:
        with anyio.fail_after(LIMIT_S), pytest.raises(AnswerLost) as caught:
            await socket.receive()
        assert caught.value.code == code


async def test_pings_keep_a_quiet_connection() -> None:
    async def act(peer: Peer) -> None:
        for _ in range(4):
            peer.protocol.receive_data(await peer.stream.receive())
            peer.protocol.events_received()
            await peer.flush()
        peer.protocol.send_text(b'"still here"')
        await peer.flush()
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, open_websocket(url, idle_s=0.3) as socket:
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

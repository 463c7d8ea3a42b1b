"""Both servers speak WebSocket alike: what is bounded is bounded on each, and nobody is closed without a word."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from dataserver import listener
from dataserver.socket.frames import Frame
from dataserver.socket.limits import SocketLimits
from tests.support.served import SERVERS, running
from tests.support.socket_peer import SocketBench, open_sockets
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dataserver.server import Address, ServerName

LIMIT_S = 20.0
WAITING_BYTES = 65_536

pytestmark = pytest.mark.parametrize("server", SERVERS)


class App:
    """The sockets alone, with a lifespan."""

    def __init__(self, bench: SocketBench) -> None:
        self._bench = bench

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return
        await self._bench.sockets(scope, receive, send)


@asynccontextmanager
async def served(path: Path, server: ServerName, **limits: Any) -> AsyncIterator[tuple[SocketBench, Address]]:
    async with (
        open_sockets(path / "chat.db", **limits) as bench,
        running(App(bench), server, SocketLimits(**limits)) as (address, _),
    ):
        with anyio.fail_after(LIMIT_S):
            yield bench, address
        bench.hub.drain()
        await bench.hub.until_empty(LIMIT_S)


@asynccontextmanager
async def client(address: Address, token: str, **more: Any) -> AsyncIterator[ClientConnection]:
    url = f"ws://{address.host}:{address.port}/v1/ws"
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(
        url, additional_headers=headers, compression=None, ping_interval=None, proxy=None, **more
    ) as connection:
        yield connection


async def asked(connection: ClientConnection, **command: Any) -> dict[str, Any]:
    """Send a command, and return the next frame that answers it."""
    await connection.send(json.dumps({"id": 7, **command}))
    while (found := json.loads(await connection.recv())).get("id") != 7:
        pass
    answer: dict[str, Any] = found
    return answer


async def closing(connection: ClientConnection) -> tuple[int, str]:
    """Read on until the server closes, and return how."""
    with suppress(ConnectionClosed):
        while True:
            await connection.recv()
    await connection.wait_closed()
    return connection.close_code or 0, connection.close_reason or ""


async def test_a_message_is_sent_acknowledged_and_delivered(tmp_path: Path, server: ServerName) -> None:
    async with (
        served(tmp_path, server) as (bench, address),
        client(address, bench.token(bench.chat.ann)) as ann,
        client(address, bench.token(bench.chat.bob)) as bob,
    ):
        room = str(bench.chat.room)
        assert "ok" in await asked(bob, op="subscribe", streams={room: None})
        ack = await asked(ann, op="send", room=room, client_id="c1", content="héllo ✓")
        event = json.loads(await bob.recv())["event"]
        assert ack["ok"]["seq"] == event["seq"] == 1
        assert event["message"]["content"] == "héllo ✓"


async def test_a_token_that_is_none_is_refused_with_the_handshake(tmp_path: Path, server: ServerName) -> None:
    async with served(tmp_path, server) as (_, address):
        with pytest.raises(InvalidStatus) as refused:
            async with client(address, "nobody's"):
                raise AssertionError("it was let in")
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body)["error"]["code"] == "unauthenticated"


async def test_a_command_that_is_too_large_closes_with_1009(tmp_path: Path, server: ServerName) -> None:
    async with (
        served(tmp_path, server, max_frame_bytes=10_000) as (bench, address),
        client(address, bench.token(bench.chat.ann)) as ann,
    ):
        await ann.send(json.dumps({"op": "ping", "id": 1, "padding": "x" * 20_000}))
        assert (await closing(ann))[0] == 1009
        await until(lambda: bench.hub.open_count == 0)


async def test_a_drain_is_told_with_a_delay_and_then_the_server_closes(
    tmp_path: Path, server: ServerName
) -> None:
    async with (
        served(tmp_path, server, resume_spread_s=3.0) as (bench, address),
        client(address, bench.token(bench.chat.ann)) as ann,
    ):
        await asked(ann, op="ping")
        bench.hub.drain()
        notice = json.loads(await ann.recv())
        assert 0 <= notice["drain"]["resume_after_ms"] <= 3_000
        assert (await closing(ann))[0] == 1012


async def test_who_reads_too_slowly_is_closed_with_4008(tmp_path: Path, server: ServerName) -> None:
    async with (
        served(tmp_path, server, max_waiting_bytes=WAITING_BYTES) as (bench, address),
        client(address, bench.token(bench.chat.ann), max_queue=1) as ann,
    ):
        await asked(ann, op="ping")
        fill(bench)
        code, reason = await closing(ann)
        assert code == 4008, reason
        assert bench.hub.ended_counts == {"slow_consumer": 1}


async def test_a_peer_that_never_reads_is_gone_soon_and_holds_no_more_than_its_bound(
    tmp_path: Path, server: ServerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "UNREAD_TIMEOUT_MS", 300)
    async with served(tmp_path, server, max_waiting_bytes=WAITING_BYTES) as (bench, address):
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            peer.setblocking(False)
            await asyncio.get_running_loop().sock_connect(peer, (address.host, address.port))
            await asyncio.get_running_loop().sock_sendall(peer, handshake(bench.token(bench.chat.ann)))
            await until(lambda: bench.hub.open_count == 1)
            (subscriber,) = bench.hub._all
            await until(lambda: subscriber.session is not None)
            fill(bench)
            assert subscriber.outbox.waiting_bytes <= WAITING_BYTES
            await until(lambda: bench.hub.open_count == 0)


async def test_pings_without_end_of_a_peer_that_never_reads_fill_no_memory(
    tmp_path: Path, server: ServerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "UNREAD_TIMEOUT_MS", 300)
    async with served(tmp_path, server) as (bench, address):
        loop = asyncio.get_running_loop()
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            peer.setblocking(False)
            await loop.sock_connect(peer, (address.host, address.port))
            await loop.sock_sendall(peer, handshake(bench.token(bench.chat.ann)))
            await until(lambda: bench.hub.open_count == 1)
            pings = WireFrame(Opcode.PING, b"x" * 125).serialize(mask=True) * 500
            with pytest.raises(OSError, match=r"reset|Broken"):
                await flood(peer, pings)
            await until(lambda: bench.hub.open_count == 0)


async def test_a_client_that_vanishes_is_forgotten(tmp_path: Path, server: ServerName) -> None:
    async with served(tmp_path, server) as (bench, address):
        async with client(address, bench.token(bench.chat.ann)) as ann:
            await asked(ann, op="subscribe", streams={str(bench.chat.room): None})
            ann.transport.abort()
        await until(lambda: bench.hub.open_count == 0)
        assert bench.hub._followers == {}


async def flood(peer: socket.socket, data: bytes) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(peer, data)


def fill(bench: SocketBench) -> None:
    """Tell every client more than may wait, at once."""
    for subscriber in list(bench.hub._all):
        for _ in range(100):
            subscriber.push(Frame(b'"%b"' % (b"x" * 8_192)))


def handshake(token: str) -> bytes:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    return (
        f"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()

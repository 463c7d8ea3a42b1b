"""The chat's sockets on a whole server: thousands of quick connects, a peer that never reads, a load, a stop."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from dataserver.listener import UNREAD_TIMEOUT_MS
from dataserver.memory import tree_memory
from tests.support.command_line import RunningServer, serving

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_COUNT = 10_000
AT_ONCE = 100
SERVERS = ("uvicorn", "h2corn")
MIB = 1 << 20

pytestmark = pytest.mark.timeout(240)


def register(server: RunningServer, name: str) -> dict[str, Any]:
    body = {"name": name, "password": "correct horse battery"}
    answer = httpx2.post(f"{server.url}/v1/auth/register", json=body)
    issued: dict[str, Any] = answer.raise_for_status().json()
    return issued


def room_of(server: RunningServer, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=server.url, headers=headers) as client:
        space = (
            client.post("/v1/spaces", json={"client_id": "s", "name": "Home"}).raise_for_status().json()["id"]
        )
        body = {"client_id": "r", "name": "general"}
        found: str = client.post(f"/v1/spaces/{space}/rooms", json=body).raise_for_status().json()["id"]
        return found


def sockets_open(server: RunningServer) -> float:
    text = httpx2.get(f"{server.url}/metrics", headers=server.headers).raise_for_status().text
    (line,) = [each for each in text.splitlines() if each.startswith("dataserver_socket_connections ")]
    return float(line.split()[1])


def socket_url(server: RunningServer) -> str:
    return f"{server.url.replace('http', 'ws', 1)}/v1/ws"


def handshake(token: str) -> bytes:
    return (
        "GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("name", SERVERS)
def test_ten_thousand_quick_connects_leave_nothing_behind(tmp_path: Path, name: str) -> None:
    environment = {"DATASERVER_MAX_SOCKETS_PER_USER": "1000"}
    with serving(tmp_path, "--server", name, environment=environment) as server:
        request = handshake(register(server, "ann")["access_token"])
        url = httpx2.URL(server.url)

        async def come_and_go(turns: int) -> None:
            for turn in range(turns):
                reader, writer = await asyncio.open_connection(url.host, url.port)
                writer.write(request)
                if turn % 2:
                    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
                writer.transport.abort()

        async def all_of_them(count: int) -> None:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(come_and_go(count // AT_ONCE))

        asyncio.run(all_of_them(CONNECT_COUNT // 10))
        before = tree_memory(server.process.pid)
        asyncio.run(all_of_them(CONNECT_COUNT))
        asyncio.run(gone(server))
        after = tree_memory(server.process.pid)
        if before is not None and after is not None:
            assert after.pss_bytes - before.pss_bytes < 40 * MIB
        assert httpx2.get(f"{server.url}/readyz", headers=server.headers).status_code == 200
        assert server.stop() == 0


@pytest.mark.parametrize("name", SERVERS)
def test_a_peer_that_never_reads_is_gone_within_the_tcp_timeout(tmp_path: Path, name: str) -> None:
    with serving(tmp_path, "--server", name) as server:
        token = register(server, "ann")["access_token"]
        room = room_of(server, token)
        url = httpx2.URL(server.url)
        with (
            socket.socket() as peer,
            connect(
                socket_url(server), additional_headers={"Authorization": f"Bearer {token}"}, compression=None
            ) as writer,
        ):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            peer.connect((url.host, url.port or 0))
            command = json.dumps({"op": "subscribe", "streams": {room: None}}).encode()
            peer.sendall(handshake(token))
            assert peer.recv(4_096).startswith(b"HTTP/1.1 101")
            peer.sendall(bytes((0x81, 0x80 | len(command))) + bytes(4) + command)
            for number in range(200):
                send = {
                    "id": number,
                    "op": "send",
                    "room": room,
                    "client_id": f"m{number}",
                    "content": "x" * 30_000,
                }
                writer.send(json.dumps(send))
                assert "ok" in json.loads(writer.recv())
            asyncio.run(gone(server, left=1, limit_s=3 * UNREAD_TIMEOUT_MS / 1000))
            writer.send('{"id": 1000, "op": "ping"}')
            assert json.loads(writer.recv()) == {"id": 1000, "ok": {}}


@pytest.mark.parametrize("name", SERVERS)
def test_a_stop_tells_every_client_when_to_come_back(tmp_path: Path, name: str) -> None:
    with serving(tmp_path, "--server", name) as server:
        token = register(server, "ann")["access_token"]
        with connect(socket_url(server), additional_headers={"Authorization": f"Bearer {token}"}) as client:
            client.send('{"id": 1, "op": "ping"}')
            client.recv()
            assert server.stop() == 0
            assert "resume_after_ms" in json.loads(client.recv())["drain"]
            with pytest.raises(ConnectionClosed, match="1012"):
                client.recv()


def test_the_load_of_the_chat_has_no_failures(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        run = subprocess.run(  # noqa: S603 - our own command line
            [
                sys.executable, "-m", "locust", "-f", "loadtests/chat.py", "--host", server.url, "--users", "10",
                "--spawn-rate", "10", "--headless", "-t", "3s", "--rate", "30", "--only-summary",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        assert "delivery" in run.stderr + run.stdout


async def gone(server: RunningServer, *, left: int = 0, limit_s: float = 30.0) -> None:
    """Wait until the server counts no more than `left` connections."""
    with anyio.fail_after(limit_s):
        while await anyio.to_thread.run_sync(sockets_open, server) > left:  # noqa: ASYNC110 - of another process
            await anyio.sleep(0.1)

"""Chats that are compared: this project's server with users and a room, and a peer; and what drives them."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from loadtests.running_server import RunningServer, free_port
from tests.benchmarks.web.load import LoadFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

USER_COUNT = 20
CONNECTION_COUNT = 256
"""Of HTTP: a group commit takes what came while the last one ran."""
_SCRIPT = Path(__file__).with_name("sends.lua")
_UNBOUND = {
    "DATASERVER_SENDS_PER_S": "1000000",
    "DATASERVER_SEND_BURST": "10000000",
    "DATASERVER_MAX_SOCKETS_PER_USER": "5000",
    "DATASERVER_LOG_LEVEL": "warning",
}


@dataclass(kw_only=True)
class ChatServer(RunningServer):
    """A server with a room, and the tokens of its members."""

    tokens: list[str] = field(default_factory=lambda: ["-"])
    room: str = "1"
    path: str = "/v1/rooms/1/messages"

    def people(self) -> None:
        """Make users, a space that all are in, and its room."""
        client = _Api(self.port)
        self.tokens = [
            client.post("/v1/auth/register", {"name": f"user{number}", "password": "correct horse battery"})[
                "access_token"
            ]
            for number in range(USER_COUNT)
        ]
        space = client.post(
            "/v1/spaces", {"client_id": "space", "name": "Home", "is_open": True}, self.tokens[0]
        )["id"]
        for token in self.tokens[1:]:
            client.post(f"/v1/spaces/{space}/join", {"client_id": "join"}, token)
        body = {"client_id": "room", "name": "general"}
        self.room = client.post(f"/v1/spaces/{space}/rooms", body, self.tokens[0])["id"]
        self.path = f"/v1/rooms/{self.room}/messages"


class _Api:
    def __init__(self, port: int) -> None:
        self._port = port

    def post(self, path: str, body: Mapping[str, Any], token: str | None = None) -> Any:
        """Return the decoded answer of a request that succeeded."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status not in {200, 201}:
            raise LoadFailed(f"{path}: {answer.status} {data[:300]!r}")
        return json.loads(data)


def ours(folder: Path, server: str) -> ChatServer:
    """Return this project's server on an empty folder; call `people` once it listens."""
    port = free_port()
    return ChatServer(
        name=f"chat on {server}",
        command=[
            sys.executable, "-m", "dataserver", "serve", "--data-dir", str(folder), "--host", "127.0.0.1",
            "--port", str(port), "--server", server,
        ],
        port=port,
        environment=_UNBOUND,
    )  # fmt: skip


def peer(folder: Path) -> ChatServer:
    """Return Starlette's WebSocket broadcast with aiosqlite, on uvicorn."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.web.chat_peer", str(folder / "peer.db"), str(port)]
    return ChatServer(name="Starlette+aiosqlite", command=command, port=port)


def empty(server: str) -> ChatServer:
    """Return the server of that name with an application that does nothing."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.web.empty_app", server, str(port)]
    return ChatServer(name=f"{server}, empty answer", command=command, port=port, path="/")


def http_sends(server: ChatServer, *, seconds: float) -> dict[str, float]:
    """Send over HTTP with wrk, and return what that measured."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadFailed("wrk is not installed")
    command = [
        wrk, "-t1", f"-c{CONNECTION_COUNT}", f"-d{max(1, round(seconds))}s", "-s", str(_SCRIPT),
        f"http://127.0.0.1:{server.port}", "--", server.path, server.tokens[0], secrets.token_hex(4),
    ]  # fmt: skip
    figures = _ran(command, seconds + 40)
    return {"per_s": figures["requests"] / figures["seconds"], "p99_ms": figures["p99_ms"]}


def driven(server: ChatServer, workload: str, *, limit_s: float = 60.0, **arguments: Any) -> dict[str, float]:
    """Have the WebSocket client run a workload, and return its figures.

    Raises:
        LoadFailed: Something was refused or did not come, or it took too long.
    """
    return _ran(_client(server, workload, run=secrets.token_hex(4), **arguments), limit_s)


def idle_clients(server: ChatServer, connection_count: int) -> subprocess.Popen[str]:
    """Return a process that holds so many idle clients until its stdin is closed; they are connected."""
    process = subprocess.Popen(  # noqa: S603 - our own command line
        _client(server, "idle", connection_count=connection_count),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    output: IO[str] | None = process.stdout
    if output is None or output.readline() != "connected\n":
        process.kill()
        raise LoadFailed("the idle clients did not connect")
    return process


def _client(server: ChatServer, workload: str, **arguments: Any) -> list[str]:
    given = msgspec.json.encode({"tokens": server.tokens, "room": server.room, **arguments}).decode()
    return [sys.executable, "-m", "tests.benchmarks.web.chat_client", workload, str(server.port), given]


def _ran(command: list[str], limit_s: float) -> dict[str, float]:
    try:
        run = subprocess.run(command, capture_output=True, check=True, timeout=limit_s)  # noqa: S603 - our own command line
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise LoadFailed(f"{command[:5]}: {error.stderr!r}") from error
    figures: dict[str, float] = msgspec.json.decode(run.stdout.splitlines()[-1])
    for name in ("errors", "refused", "missing"):
        if figures.get(name):
            raise LoadFailed(f"{command[:5]}: {figures[name]} {name}")
    return figures

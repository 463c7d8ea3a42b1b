"""The Unix socket of a running server: who may use it, and that no caller can hurt it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from dataserver.commands import EnsureDatabase, ListDatabases, Query
from dataserver.control import MAX_CONNECTION_COUNT, framed, reachable
from tests.support.command_line import THREADS, RunningServer, called, serving

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("served"), "--workers", "thread") as running:
        yield running


def connected(server: RunningServer) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(LIMIT_S)
    with reachable(server.data_dir / "server.sock") as name:
        caller.connect(name)
    return caller


def reply_to(caller: socket.socket, message: msgspec.Struct | None = None) -> dict[str, object]:
    """Send a message and return the next reply as it is on the wire."""
    if message is not None:
        caller.sendall(framed(message))
    with caller.makefile("rb") as stream:
        content = stream.read(int.from_bytes(stream.read(4), "big"))
    reply: dict[str, object] = msgspec.msgpack.decode(content)
    return reply


def metric(server: RunningServer, name: str) -> float:
    text = httpx2.get(f"{server.url}/metrics", headers=server.headers).text
    [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def still_answers(server: RunningServer) -> bool:
    with connected(server) as caller:
        return reply_to(caller, ListDatabases())["is"] == "done"


def test_only_the_user_of_the_server_may_use_it(server: RunningServer) -> None:
    assert (server.data_dir / "server.sock").stat().st_mode & 0o777 == 0o600
    assert server.data_dir.stat().st_mode & 0o077 == 0


def test_one_connection_carries_many_commands(server: RunningServer) -> None:
    with connected(server) as caller:
        assert reply_to(caller, EnsureDatabase(database="many")) == {"is": "done", "value": True}
        assert reply_to(caller, EnsureDatabase(database="many")) == {"is": "done", "value": False}
        failed = reply_to(caller, Query(database="none", sql="SELECT 1"))
        assert (failed["is"], failed["kind"]) == ("failed", "DatabaseNotFound")
        assert "many" in str(reply_to(caller, ListDatabases())["value"])


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x00\x00\x01\xc1",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x02\x81",
    ],
    ids=["no MessagePack", "too long", "HTTP", "empty", "cut"],
)
def test_garbage_ends_its_connection_and_nothing_else(server: RunningServer, garbage: bytes) -> None:
    with connected(server) as caller:
        caller.sendall(garbage)
        caller.shutdown(socket.SHUT_WR)
        left = b""
        with contextlib.suppress(ConnectionResetError):  # what is closed with bytes unread is reset
            while piece := caller.recv(65_536):
                left += piece
    assert not left or b"ProtocolBroken" in left
    assert still_answers(server)


@pytest.mark.parametrize("sql", [FOREVER, ENDLESS], ids=["before its first row", "in the middle of its rows"])
def test_a_caller_that_leaves_ends_its_query(server: RunningServer, sql: str) -> None:
    with connected(server) as caller:
        caller.sendall(framed(Query(database="global", sql=sql, timeout_s=600)))
        if sql == ENDLESS:
            assert reply_to(caller)["is"] == "chunk"
        while metric(server, 'dataserver_pool_in_flight{pool="readers"}') == 0 and sql == FOREVER:
            assert still_answers(server)
    while metric(server, 'dataserver_pool_in_flight{pool="readers"}'):  # or the test's own time is up
        assert still_answers(server)


def test_one_caller_too_many_is_told_so(server: RunningServer) -> None:
    callers = [connected(server) for _ in range(MAX_CONNECTION_COUNT)]
    try:
        for caller in callers:
            assert reply_to(caller, ListDatabases())["is"] == "done"
        with connected(server) as one_too_many:
            assert reply_to(one_too_many)["kind"] == "ServerBusy"
    finally:
        for caller in callers:
            caller.close()


def test_a_path_too_long_for_a_socket_is_reached_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "data"
    with serving(folder, environment=THREADS):
        assert (folder / "server.sock").is_socket()
        listed = called("token", "list", "--data-dir", folder)
        assert listed.returncode == 0, listed.stderr
        assert "first admin" in listed.stdout

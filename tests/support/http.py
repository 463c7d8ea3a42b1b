"""A running server as a client meets it: tokens of each role, databases made for one test, and plain sockets."""

from __future__ import annotations

import json
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest

from tests.support.command_line import RunningServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Way = tuple[str, str]

WAYS: Final[dict[str, Way]] = {
    "uvicorn-process": ("uvicorn", "process"),
    "uvicorn-off": ("uvicorn", "off"),
    "h2corn-process": ("h2corn", "process"),
}
"""The servers, and where SQLite runs: all that either can make a difference to is asked of each.

Threads, and h2corn without workers, add no way of their own: pools have a conformance suite.
"""
ONE_WAY: Final = {"uvicorn-process": WAYS["uvicorn-process"]}
"""For what the routes alone decide; a module that says so marks with `in_every_way` what else it has."""
in_every_way: Final = pytest.mark.parametrize("house", list(WAYS.values()), ids=list(WAYS), indirect=True)

LIMIT_S = 20.0
FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

_names = count(1)


@dataclass
class House:
    """A server that runs for many tests."""

    server: RunningServer
    asgi_server: str
    workers: str
    client: httpx2.Client
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        url = httpx2.URL(self.server.url)
        return url.host, url.port or 0

    def database(self) -> Base:
        """Make a database of a name that no other test has."""
        name = f"test-{next(_names)}"
        self.client.put(f"/v1/databases/{name}").raise_for_status()
        return Base(self, name)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels."""
        total = 0.0
        for line in self.client.get("/metrics").raise_for_status().text.splitlines():
            found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
                total += float(found[2])
        return total

    def until(self, name: str, value: float, **labels: str) -> None:
        """Wait until a metric has a value; one that never has it fails the test."""
        deadline = time.monotonic() + LIMIT_S
        while (now := self.metric(name, **labels)) != value:
            assert time.monotonic() < deadline, f"{name} stays {now}, not {value}"

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """Open a plain connection."""
        with socket.create_connection(self.address, timeout=LIMIT_S) as connection:
            yield connection

    def raw(self, request: bytes) -> tuple[int, bytes]:
        """Send bytes, and return the status and all that comes back until the server closes."""
        with self.connection() as connection:
            connection.sendall(request)
            received = b""
            while piece := _received(connection):
                received += piece
        status = re.match(rb"HTTP/1\.1 (\d{3}) ", received)
        return (int(status[1]) if status else 0), received

    def check_refusal(self, received: bytes) -> None:
        """Check the shape of a refusal; what h2corn refuses by itself has no body."""
        body = received.partition(b"\r\n\r\n")[2]
        if body or self.asgi_server == "uvicorn":
            checked_error(body)

    def request_bytes(self, method: str, path: str, body: bytes = b"", *, close: bool = False) -> bytes:
        """Return a request as it goes over the wire, with an admin's token."""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {self.tokens['admin']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"{'Connection: close' if close else 'Connection: keep-alive'}\r\n\r\n"
        ).encode() + body


def house_of(ways: Mapping[str, Way]) -> Any:
    """Return the fixture `house`, a server that runs in each of the ways, for the folder or module that names it."""

    @pytest.fixture(params=list(ways.values()), ids=list(ways), name="house")
    def chosen(request: pytest.FixtureRequest, houses: Callable[[str, str], House]) -> House:
        return houses(*request.param)

    return chosen


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""


@dataclass
class Base:
    """One database."""

    house: House
    name: str

    @property
    def path(self) -> str:
        """Its address."""
        return f"/v1/databases/{self.name}"

    def execute(self, sql: str, params: Any = ()) -> dict[str, Any]:
        """Write; it must succeed."""
        answer = self.house.client.post(f"{self.path}/execute", json={"sql": sql, "params": params})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def query(self, sql: str, params: Any = (), **more: Any) -> dict[str, Any]:
        """Read; it must succeed."""
        answer = self.house.client.post(f"{self.path}/query", json={"sql": sql, "params": params, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, **more: Any) -> httpx2.Response:
        """Send a GET below the database."""
        return self.house.client.get(f"{self.path}{path}", **more)


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    """Return the error in an answer, having checked its shape."""
    assert answer.headers["content-type"] == "application/json"
    return checked_error(answer.content)


def checked_error(body: bytes) -> dict[str, Any]:
    """Return the error in a body, having checked that it has the shape of every error."""
    found: dict[str, Any] = json.loads(body)
    assert found.keys() == {"error"}
    error: dict[str, Any] = found["error"]
    assert (
        {"code", "class", "message"}
        <= error.keys()
        <= {"code", "class", "message", "retry_after_ms", "details"}
    )
    assert error["class"] in {"transient", "permanent", "auth", "conflict", "rate", "unknown"}
    assert re.fullmatch(r"[a-z_]+", error["code"])
    assert error["message"]
    assert "Traceback" not in error["message"]
    assert tempfile.gettempdir() not in error["message"]  # where the tests' data lies
    return error

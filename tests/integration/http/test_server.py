"""Both servers, told apart by nothing an application could see."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import Any, Literal

import anyio
import pytest

from dataserver import bounded_http
from dataserver.departures import Departures
from dataserver.front import Front
from dataserver.listener import SEND_BUFFER_BYTES, UNREAD_TIMEOUT_MS, open_listeners
from dataserver.loop_lag import LoopLag
from dataserver.metrics import Metrics
from dataserver.recent_errors import RecentErrors
from dataserver.server import Address, serve
from tests.support.served import SERVERS, running
from tests.support.waiting import until
from workers import SystemClock


class App:
    """An application that says hello, waits, or sends without end."""

    def __init__(self) -> None:
        self.departures = Departures()
        self.front = Front(self.departures, Metrics(LoopLag()), RecentErrors(SystemClock()))
        self.life: list[str] = []
        self.waiting = anyio.Event()
        self.cancelled = anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                self.life.append(message["type"])
                await send({"type": f"{message['type']}.complete"})
            self.departures.close()
            return
        await self.front.run("x", self.answer, None, scope=scope, receive=receive, send=send)

    async def answer(self, _visit: Any, scope: Any, _where: None) -> Any:
        return Hello() if scope["path"] == "/" else await self.wait()

    async def wait(self) -> Any:
        self.waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()


class Hello:
    """An answer."""

    status = 200

    async def send(self, send: Any, _scope: Any) -> int:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})
        return 5


async def asked(address: Address, request: bytes) -> bytes:
    async with await anyio.connect_tcp(address.host, address.port) as stream:
        await stream.send(request)
        received = b""
        try:
            async for piece in stream:
                received += piece
        except anyio.BrokenResourceError:
            return received
        return received


GET = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("server", SERVERS)
async def test_a_request_is_answered_and_the_lifespan_has_both_its_ends(
    server: Literal["uvicorn", "h2corn"],
) -> None:
    app = App()
    async with running(app, server) as (address, _):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address.url)
        assert (await asked(address, GET % b"/")).endswith(b"\r\n\r\nhello")
    assert app.life == ["lifespan.startup", "lifespan.shutdown"]


@pytest.mark.parametrize("server", SERVERS)
async def test_a_client_that_leaves_cancels_its_handler(server: Literal["uvicorn", "h2corn"]) -> None:
    app = App()
    async with running(app, server) as (address, _):
        stream = await anyio.connect_tcp(address.host, address.port)
        await stream.send(GET % b"/wait")
        await app.waiting.wait()
        await stream.aclose()
        with anyio.fail_after(10):
            await app.cancelled.wait()
        assert (await asked(address, GET % b"/")).endswith(b"hello")
    assert app.departures.departed_count == 1


async def test_a_client_that_leaves_after_several_requests_at_once_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App()
    async with running(app, "uvicorn") as (address, _):
        stream = await anyio.connect_tcp(address.host, address.port)
        await stream.send(
            b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in (b"/", b"/wait", b"/wait"))
        )
        await app.waiting.wait()
        await stream.aclose()
        with anyio.fail_after(10):
            await app.cancelled.wait()
            await until(lambda: app.departures.open_count == 0)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("server", SERVERS)
async def test_a_client_that_stays_is_not_taken_for_one_that_left(
    server: Literal["uvicorn", "h2corn"],
) -> None:
    app = App()
    async with (
        running(app, server) as (address, _),
        await anyio.connect_tcp(address.host, address.port) as stream,
    ):
        await stream.send(GET % b"/wait")
        await app.waiting.wait()
        for _ in range(5):
            assert (await asked(address, GET % b"/")).endswith(b"hello")
        await asyncio.sleep(0.1)  # several looks at the connections, if nothing better tells
        assert not app.cancelled.is_set()


@pytest.mark.parametrize("server", SERVERS)
async def test_what_still_runs_after_the_drain_is_cancelled(server: Literal["uvicorn", "h2corn"]) -> None:
    app = App()
    async with (
        running(app, server, drain_s=0.1) as (address, stop),
        await anyio.connect_tcp(address.host, address.port) as stream,
    ):
        await stream.send(GET % b"/wait")
        await app.waiting.wait()
        stop.set()
        with anyio.fail_after(15):
            await app.cancelled.wait()


async def test_the_listener_gives_up_soon_on_a_peer_that_does_not_read() -> None:
    (listener,) = await open_listeners("127.0.0.1", 0)
    with listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNREAD_TIMEOUT_MS
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER_BYTES
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


async def test_an_address_that_is_taken_is_refused() -> None:
    (listener,) = await open_listeners("127.0.0.1", 0)
    with listener, pytest.raises(OSError, match="in use"):
        await open_listeners("127.0.0.1", listener.getsockname()[1])


async def test_a_head_that_does_not_arrive_in_time_is_answered_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_TIMEOUT_S", 0.05)
    async with running(App(), "uvicorn") as (address, _):
        received = await asked(address, b"GET / HTTP/1.1\r\nHo")
    assert received.startswith(b"HTTP/1.1 408 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["code"] == "head_timed_out"


async def test_connections_past_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "MAX_CONNECTION_COUNT", 1)
    async with (
        running(App(), "uvicorn") as (address, _),
        await anyio.connect_tcp(address.host, address.port) as first,
    ):
        await first.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await first.receive()).startswith(b"HTTP/1.1 200")
        assert (await asked(address, b"")).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("server", SERVERS)
async def test_a_server_that_is_cancelled_takes_its_requests_with_it(
    server: Literal["uvicorn", "h2corn"],
) -> None:
    app = App()
    ready: list[Address] = []
    serving = asyncio.ensure_future(
        serve(
            app,
            host="127.0.0.1",
            port=0,
            server=server,
            on_ready=ready.append,
            stop=anyio.Event(),
            drain_s=3_600.0,
        )
    )
    await until(lambda: bool(ready))
    async with await anyio.connect_tcp(ready[0].host, ready[0].port) as stream:
        await stream.send(GET % b"/wait")
        await app.waiting.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError), anyio.fail_after(10):
            await serving
    assert app.cancelled.is_set()

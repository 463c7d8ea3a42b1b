"""A server that takes 5.5 s for each request: what the application waits for, and when all is there.

The times are printed (`pytest -s`) and not judged: what is asserted is what came before what.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute

from chat import Client, ClientSettings
from tests.support.command_line import serving
from workers import SigningKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator
    from pathlib import Path

    from anyio.abc import ByteReceiveStream, ByteSendStream, SocketStream

DELAY_S: Final = 5.5
LIMIT_S: Final = 150.0
SPACE_COUNT: Final = 50
PASSWORD: Final = "correct horse battery"  # noqa: S105 - of a user that lives for one test


@dataclass
class SlowLine:
    """A line to a server on which everything that is asked arrives late; answers come back at once."""

    host: str
    port: int
    happened: list[str]
    url: str = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SlowLine]:
        """Listen while this is entered."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
        async with listener, anyio.create_task_group() as tasks:
            port = listener.listeners[0].extra(SocketAttribute.local_port)  # noqa: S610 - no SQL
            self.url = f"http://127.0.0.1:{port}"
            tasks.start_soon(listener.serve, self._carry)
            yield self
            tasks.cancel_scope.cancel()

    async def _carry(self, client: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            async with (
                client,
                await anyio.connect_tcp(self.host, self.port) as server,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(self._late, client, server)
                while piece := await _piece(server):
                    if not self.happened or self.happened[-1] != "answered":
                        self.happened.append("answered")
                    await client.send(piece)
                tasks.cancel_scope.cancel()

    async def _late(self, client: ByteReceiveStream, server: ByteSendStream) -> None:
        """Hand on each piece `DELAY_S` after it came, in their order, however many are on their way."""
        send, receive = anyio.create_memory_object_stream[tuple[float, bytes]](1_000)

        async def hand_on() -> None:
            async for due_at, piece in receive:
                await anyio.sleep_until(due_at)
                await server.send(piece)

        with receive, send:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hand_on)
                while piece := await _piece(client):
                    await send.send((anyio.current_time() + DELAY_S, piece))
                send.close()


async def _piece(stream: ByteReceiveStream) -> bytes:
    try:
        return await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return b""


class Calls:
    """What the application called, and how long each call kept it."""

    def __init__(self) -> None:
        self.took_ms: dict[str, float] = {}

    async def made(self, name: str, call: Awaitable[Any]) -> Any:
        begun = perf_counter()
        result = await call
        self.took_ms[name] = (perf_counter() - begun) * 1e3
        return result


async def at_once(call: Any) -> Any:
    """Return what a call that is no coroutine returned."""
    return call()


@dataclass
class House:
    """A server with a user who is in many spaces, and is logged in with a store."""

    url: str
    http: httpx2.Client
    store: Path
    spaces: list[str]
    room: str


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with serving(tmp_path / "data") as server, httpx2.Client(base_url=server.url) as http:
        made = http.post("/v1/auth/register", json={"name": "zoe", "password": PASSWORD}).json()
        http.headers["authorization"] = f"Bearer {made['access_token']}"
        spaces = [
            http.post("/v1/spaces", json={"client_id": f"s{n}", "name": f"space {n}"}).json()["id"]
            for n in range(SPACE_COUNT)
        ]
        body = {"client_id": "r", "name": "general"}
        room = http.post(f"/v1/spaces/{spaces[0]}/rooms", json=body).json()["id"]
        yield House(server.url, http, tmp_path / "zoe", spaces, room)


@pytest.mark.timeout(LIMIT_S + 60)
def test_no_call_waits_for_a_slow_server_and_every_sync_comes_through(house: House) -> None:
    happened: list[str] = []
    calls, done_s = anyio.run(use, house, happened)
    longest = {
        name: round(ms, 1) for name, ms in sorted(calls.took_ms.items(), key=lambda each: -each[1])[:5]
    }
    print(f"\nlongest of {len(calls.took_ms)} calls, ms:", longest)  # noqa: T201 - the figures
    print("there after, s:", {name: round(at_s, 2) for name, at_s in done_s.items()})  # noqa: T201 - the figures
    assert happened[0] == "called"
    assert "answered" in happened
    assert happened[-1] == "all sent"
    assert house.http.get("/v1/me/settings").json()["version"] >= 1
    assert len(house.http.get("/v1/me/space-keys").json()["keys"]) == SPACE_COUNT
    me = house.http.get("/v1/me").json()
    assert me["fields"] == {"mood": "calm"}
    assert house.http.get(f"/v1/spaces/{house.spaces[0]}").json()["settings"]["name"] == "other"
    assert house.http.get(f"/v1/rooms/{house.room}/messages").json()["messages"][0]["content"] == "hello"


async def use(house: House, happened: list[str]) -> tuple[Calls, dict[str, float]]:
    """Do a bit of everything over a slow line, and return how long it took."""
    async with Client(house.url, store=house.store) as client:
        await client.login("zoe", PASSWORD)
    url = httpx2.URL(house.url)
    line, calls, done_s = SlowLine(url.host, url.port or 0, happened), Calls(), dict[str, float]()
    settings = ClientSettings(is_live=False)
    async with line.open(), Client(line.url, store=house.store, settings=settings) as client:
        begun = perf_counter()
        key = SigningKey.generate()
        fields: dict[str, Any] = {"name": "other"}
        receipts = {
            "settings": await calls.made("allow_sync", at_once(lambda: client.settings.allow_sync(key))),
            "preferences": await calls.made(
                "settings.set", client.settings.set({"preferences.theme": "dark"})
            ),
            "profile": await calls.made(
                "update_profile", at_once(lambda: client.update_profile(mood="calm"))
            ),
            "space": await calls.made(
                "update_space", at_once(lambda: client.update_space(house.spaces[0], fields))
            ),
            "message": await calls.made("send", at_once(lambda: client.send(house.room, "hello"))),
        }
        for number, space in enumerate(house.spaces):
            await calls.made(f"keys.change {number}", client.keys.change(space, "key"))
        receipts["space keys"] = await calls.made("keys.sync", client.keys.sync())
        await calls.made("messages", client.messages(house.room))
        await calls.made("profile()", at_once(client.profile))
        happened.append("called")

        async def until_sent(name: str, receipt: Any) -> None:
            await receipt.sent()
            done_s[name] = perf_counter() - begun

        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as tasks:
                for name, receipt in receipts.items():
                    if receipt is not None:
                        tasks.start_soon(until_sent, name, receipt)
        happened.append("all sent")
    return calls, done_s

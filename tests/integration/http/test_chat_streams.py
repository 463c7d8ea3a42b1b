"""Events of the chat as Server-Sent Events, and sends by the shortest way, through the whole application."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

import storage
from dataserver.app import Application, build_application
from dataserver.auth import MIGRATIONS, TokenStore
from dataserver.socket.limits import SocketLimits
from tests.support.asgi import Call
from tests.support.chat_domain import ChatBench, open_bench
from tests.support.socket_peer import Peer
from tests.support.waiting import until
from workers import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SETTINGS = storage.StorageSettings(kind="thread", worker_count=1)


class Bench:
    """An application with a chat, and a member of it."""

    def __init__(self, app: Application, chat: ChatBench) -> None:
        self.app = app
        self.chat = chat
        self.user = 0
        self.token = ""

    @property
    def headers(self) -> dict[bytes, bytes]:
        return {b"authorization": f"Bearer {self.token}".encode()}

    async def post(self, path: str, body: dict[str, Any]) -> Call:
        sent = json.dumps(body).encode()
        return await Call("POST", path, body=[sent], headers=self.headers).by(self.app)

    @asynccontextmanager
    async def stream(self, path: str, **headers: str) -> AsyncIterator[Call]:
        more = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        call = Call("GET", path, headers={**self.headers, **more})
        task = asyncio.create_task(call.by(self.app))
        yield call
        call.left.set()
        await task


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with (
        open_bench(tmp_path / "chat.db") as chat,
        storage.open_databases(tmp_path / "data", SETTINGS) as databases,
        storage.open(tmp_path / "server.db", SETTINGS, migrations=MIGRATIONS) as own,
    ):
        app = build_application(
            databases,
            await TokenStore.open(own, clock=SystemClock()),
            backups=storage.BackupFolder(tmp_path / "backups"),
            chat=chat.chat,
            sockets=SocketLimits(max_connections_per_user=2),
        )
        bench = Bench(app, chat)
        issued = await chat.chat.accounts.register("guest", "correct horse battery")
        bench.token = issued.access_token
        bench.user = int(issued.user_id)
        await chat.member(bench.user)
        yield bench


def told(call: Call, kind: str) -> list[Any]:
    """Return what the stream told of a kind."""
    return [data[kind] for _, data in pieces(call) if kind in data]


def pieces(call: Call) -> list[tuple[str | None, Any]]:
    """Return the ids and the data of the events that came."""
    found = []
    for piece in b"".join(message.get("body", b"") for message in call.sent[1:]).decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in piece.splitlines() if ": " in line)
        if "data" in lines:
            found.append((lines.get("id"), json.loads(lines["data"])))
    return found


async def test_events_come_as_they_happen_and_go_on_after_the_last_id(bench: Bench) -> None:
    room = bench.chat.room
    path = f"/v1/streams/events?streams={room},{bench.chat.space}"
    async with bench.stream(path) as first:
        await until(lambda: bool(told(first, "position")))
        await bench.chat.send("one")
        await until(lambda: len(told(first, "event")) == 1)
    last_id = [name for name, data in pieces(first) if "event" in data][-1]
    assert last_id is not None
    for text in ("two", "three"):
        await bench.chat.send(text)
    async with bench.stream(path, last_event_id=last_id) as again:
        await until(lambda: bool(told(again, "position")))
        assert told(again, "state")[0][str(room)]["recovered"]
        await bench.chat.send("four")
        await until(lambda: len(told(again, "event")) == 3)
    contents = [each["message"]["content"] for each in told(first, "event") + told(again, "event")]
    assert contents == ["one", "two", "three", "four"]


async def test_what_is_caught_up_has_no_id_until_all_of_it_was_told(bench: Bench) -> None:
    room = bench.chat.room
    async with bench.stream(f"/v1/streams/events?streams={room}") as first:
        await until(lambda: bool(told(first, "position")))
    ((begin, _),) = [each for each in pieces(first) if "position" in each[1]]
    await bench.chat.send("one")
    async with bench.stream(f"/v1/streams/events?streams={room}&since={begin}") as again:
        await until(lambda: bool(told(again, "position")))
    ids = [(name is not None, next(iter(data))) for name, data in pieces(again) if "presence" not in data]
    assert ids == [(False, "state"), (False, "event"), (True, "position")]


async def test_an_id_of_other_streams_is_answered_with_where_they_stand(bench: Bench) -> None:
    await bench.chat.send("old")
    room = str(bench.chat.room)
    async with bench.stream(f"/v1/streams/events?streams={room}&since=1-anothers") as call:
        await until(lambda: bool(told(call, "position")))
    assert told(call, "state")[0][room]["recovered"] is False
    assert told(call, "event") == []


@pytest.mark.parametrize("query", ["", "?streams=", "?streams=1&since=x", "?streams=1&heartbeat_ms=1"])
async def test_a_stream_that_makes_no_sense_is_refused(bench: Bench, query: str) -> None:
    call = await Call("GET", f"/v1/streams/events{query}", headers=bench.headers).by(bench.app)
    assert (call.status, json.loads(call.answer)["error"]["code"]) == (400, "invalid_parameter")


async def test_a_user_has_only_so_many_streams_and_a_place_is_free_when_one_ends(bench: Bench) -> None:
    path = f"/v1/streams/events?streams={bench.chat.room}"
    async with bench.stream(path) as one, bench.stream(path) as two:
        await until(lambda: bool(told(one, "position") and told(two, "position")))
        third = await Call("GET", path, headers=bench.headers).by(bench.app)
        assert (third.status, json.loads(third.answer)["error"]["code"]) == (429, "too_often")
    async with bench.stream(path) as again:
        await until(lambda: bool(told(again, "position")))


async def test_a_stream_says_that_it_is_alive_until_the_session_ends(bench: Bench) -> None:
    path = f"/v1/streams/events?streams={bench.chat.room}&heartbeat_ms=100"
    async with bench.stream(path) as call:
        await until(lambda: any(each.get("body") == b":\n\n" for each in call.sent))
        session = bench.chat.chat.accounts.authenticate(bench.headers[b"authorization"])
        await bench.chat.chat.accounts.logout(session)
        await until(lambda: "more_body" not in call.sent[-1])


async def test_a_drain_is_told_and_ends_the_stream(bench: Bench) -> None:
    async with bench.stream(f"/v1/streams/events?streams={bench.chat.room}") as call:
        await until(lambda: bool(told(call, "position")))
        bench.app.drain()
        await until(lambda: "more_body" not in call.sent[-1])
    assert "resume_after_ms" in told(call, "drain")[0]
    await bench.app.until_told(5)


async def test_a_logout_closes_the_sockets_of_the_device(bench: Bench) -> None:
    peer = Peer(bench.app, bench.headers)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(peer.run())
        assert (await peer.ask(op="ping"))["ok"] == {}
        answer = await Call("POST", "/v1/auth/logout", headers=bench.headers).by(bench.app)
        assert answer.status == 200, answer.answer
        await until(lambda: peer.closed is not None)
    assert peer.closed is not None
    assert peer.closed[0] == 4401
    again = Peer(bench.app, bench.headers)
    await again.run()
    assert (again.status, again.of("error")[0]["code"]) == (401, "unauthenticated")


async def test_there_is_no_socket_elsewhere(bench: Bench) -> None:
    peer = Peer(bench.app, bench.headers, path="/v1/elsewhere")
    await peer.run()
    assert (peer.status, peer.of("error")[0]["code"]) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 201),
        ({"content": 7}, 400),
        ({"more": 1}, 400),
        ({"dev_seq": 1}, 400),
        ({"client_id": "ä"}, 400),
        ({"reply_to": "999"}, 404),
        ({"content": "x" * 40_000}, 400),
    ],
)
async def test_the_shortest_way_answers_what_the_route_answers(
    bench: Bench, change: dict[str, Any], status: int
) -> None:
    path = f"/v1/rooms/{bench.chat.room}/messages"
    answers = []
    ways: tuple[Any, ...] = (bench.app, bench.app._router)
    for number, app in enumerate(ways):
        body = {"client_id": f"c{number}", "content": "hello", **change}
        call = Call("POST", path, body=[json.dumps(body).encode()], headers=bench.headers)
        answers.append(await call.by(app))
    hot, routed = (json.loads(each.answer) for each in answers)
    assert [each.status for each in answers] == [status] * 2
    if status == 201:
        assert (hot.keys(), hot["seq"] + 1) == (routed.keys(), routed["seq"])
    else:
        assert hot == routed


async def test_a_send_that_comes_again_is_answered_200(bench: Bench) -> None:
    path, body = f"/v1/rooms/{bench.chat.room}/messages", {"client_id": "c", "content": "hello"}
    first, again = await bench.post(path, body), await bench.post(path, body)
    assert [first.status, again.status] == [201, 200]
    assert json.loads(again.answer) == {**json.loads(first.answer), "duplicate": True}


async def test_who_would_follow_too_much_is_refused_before_the_database_is_asked(bench: Bench) -> None:
    reader = bench.chat.chat.tables.database.statistics().reader
    streams = ",".join(map(str, range(1, SocketLimits().max_streams + 2)))
    call = await Call("GET", f"/v1/streams/events?streams={streams}", headers=bench.headers).by(bench.app)
    assert (call.status, json.loads(call.answer)["error"]["code"]) == (409, "limit_reached")
    asked = bench.chat.chat.tables.database.statistics().reader
    assert asked.completed_count == reader.completed_count

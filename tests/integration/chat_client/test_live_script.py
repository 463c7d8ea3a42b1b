"""The live loop against a server that refuses, stops, and talks nonsense; it comes back each time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from chat import AuthExpired
from chat.client.live import Live
from chat.client.logins import Login
from tests.support.scripted_socket import Peer, scripted_socket
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from chat import ClientEvent, StreamEvent


class Account:
    """The login of a client, in place of its HTTP interface."""

    def __init__(self) -> None:
        self.login = Login(user_id="1", name="ann", access_token="", refresh_token="")
        self.renewals = 0
        self.has_ended = False

    async def renewed(self, former: Login) -> Login:
        self.renewals += 1
        if self.has_ended:
            raise AuthExpired("scripted")
        self.login = Login(user_id="1", name="ann", access_token=f"token {self.renewals}", refresh_token="")
        return former


class Streams:
    """What is to be followed, and what came of it."""

    def __init__(self) -> None:
        self.names = {"10"}
        self.taken: list[int] = []
        self.answers: list[Any] = []
        self.is_outdated = False

    async def wanted(self) -> set[str]:
        return set(self.names)

    def since(self, streams: Sequence[str]) -> dict[str, Any]:
        return dict.fromkeys(streams)

    async def subscribed(self, answers: dict[str, Any]) -> None:
        self.answers.append(answers)

    async def take(self, stream: str, events: Sequence[StreamEvent]) -> bool:
        assert stream == "10"
        self.taken += [event.seq for event in events]
        return self.is_outdated


class Bench:
    def __init__(self) -> None:
        self.account = Account()
        self.streams = Streams()
        self.told: list[ClientEvent] = []
        self.connected_count = 0

    def note(self) -> None:
        self.connected_count += 1

    def names(self) -> list[str]:
        return [each.name.removeprefix("chat.") for each in self.told]


@asynccontextmanager
async def following(url: str) -> AsyncIterator[Bench]:
    """Have a live loop run."""
    bench = Bench()
    live = Live(
        url,
        bench.account,  # type: ignore[arg-type]  # a script in its place
        bench.streams,  # type: ignore[arg-type]  # a script in its place
        tell=bench.told.append,
        chance=lambda: 0.01,
        on_connected=bench.note,
    )
    async with anyio.create_task_group() as group:
        group.start_soon(live.run)
        try:
            yield bench
        finally:
            group.cancel_scope.cancel()


def event(seq: int, **more: Any) -> dict[str, Any]:
    return {"event": {"stream": "10", "seq": seq, "kind": "message.created", **more}}


async def greeted(peer: Peer) -> Any:
    """Answer the hello, and return what is asked next."""
    assert (await peer.heard())["op"] == "hello"
    await peer.say({"id": 1, "ok": {}})
    return await peer.heard()


async def test_answers_events_and_the_moment_are_taken_in_their_order() -> None:
    async def act(peer: Peer) -> None:
        asked = await greeted(peer)
        assert (asked["op"], asked["streams"]) == ("subscribe", {"10": None})
        await peer.say(
            {"id": asked["id"], "ok": {"10": {"epoch": "e", "last_seq": 1, "recovered": False}}},
            event(2),
            event(3),
            {"typing": {"room": "10", "users": ["2"]}},
            event(4),
            {"id": 99, "error": {"code": "limit_reached", "class": "permanent"}},
        )
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, following(url) as bench:
        await until(lambda: bench.streams.taken == [2, 3, 4])
        assert bench.streams.answers == [{"10": {"epoch": "e", "last_seq": 1, "recovered": False}}]
        assert bench.names() == ["connection.changed", "ephemeral"]


async def test_a_server_that_stops_is_come_back_to() -> None:
    connections: list[int] = []

    async def act(peer: Peer) -> None:
        connections.append(len(connections))
        await greeted(peer)
        if len(connections) == 1:
            await peer.say({"drain": {"resume_after_ms": 1}})
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, following(url) as bench:
        await until(lambda: bench.connected_count == 2)
        assert bench.names() == [
            "connection.changed",
            "server.draining",
            "connection.changed",
            "connection.changed",
        ]


async def test_streams_that_the_server_could_not_catch_up_are_asked_for_again() -> None:
    connections: list[int] = []

    async def act(peer: Peer) -> None:
        connections.append(len(connections))
        await greeted(peer)
        if len(connections) == 1:
            await peer.say({"ended": {"streams": ["11"], "reason": "not_a_member"}})
            await peer.say({"ended": {"streams": ["10"], "reason": "try_again"}})
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, following(url) as bench:
        await until(lambda: bench.connected_count == 2)
        assert bench.names() == ["connection.changed"] * 3


async def test_what_comes_together_with_the_answer_to_the_greeting_is_heeded() -> None:
    async def act(peer: Peer) -> None:
        await peer.heard()
        await peer.say({"id": 1, "ok": {}}, {"drain": {"resume_after_ms": 60_000}})
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, following(url) as bench:
        await until(lambda: len(bench.told) == 3)
        assert bench.names() == ["connection.changed", "server.draining", "connection.changed"]


async def test_a_token_that_has_ended_is_renewed_and_the_next_one_shown() -> None:
    tokens: list[str] = []

    async def act(peer: Peer) -> None:
        hello = await peer.heard()
        tokens.append(hello["token"])
        if not hello["token"]:
            await peer.say({"id": 1, "error": {"code": "unauthenticated", "class": "auth"}})
            return
        await peer.say({"id": 1, "ok": {}})
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, following(url) as bench:
        await until(lambda: bench.connected_count == 1)
        assert tokens == ["", "token 1"]


async def test_a_login_that_has_ended_is_not_tried_again_by_itself() -> None:
    hellos: list[str] = []

    async def act(peer: Peer) -> None:
        hellos.append((await peer.heard())["token"])
        await peer.say({"id": 1, "error": {"code": "unauthenticated", "class": "auth"}})

    async with scripted_socket(act) as url, following(url) as bench:
        bench.account.has_ended = True
        await until(lambda: bench.account.renewals == 1)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert len(hellos) == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        {"event": {"stream": "10", "seq": "x", "kind": "k"}},
        event(1, at_ms="late"),
        {"event": 7},
        ["no", "object"],
        None,
        {"error": "a text"},
        {"drain": {"resume_after_ms": "soon"}},
        {"ended": {"reason": "try_again"}},
        {"id": 2, "ok": {"10": "fine"}},
    ],
    ids=str,
)
async def test_nonsense_ends_the_connection_and_not_the_client(nonsense: Any) -> None:
    connections: list[int] = []

    async def act(peer: Peer) -> None:
        connections.append(1)
        await greeted(peer)
        if len(connections) == 1:
            await peer.say(nonsense)
        else:
            await peer.say(event(7))
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, following(url) as bench:
        await until(lambda: bench.streams.taken == [7])
        assert bench.connected_count == 2


async def test_other_streams_are_followed_when_there_are_others() -> None:
    asked: list[Any] = []
    changed = anyio.Event()

    async def act(peer: Peer) -> None:
        asked.append(await greeted(peer))
        await changed.wait()
        await peer.say(event(1))
        asked.append(await peer.heard())
        asked.append(await peer.heard())
        await anyio.sleep_forever()

    async with scripted_socket(act) as url, following(url) as bench:
        await until(lambda: bool(asked))
        bench.streams.names, bench.streams.is_outdated = {"11"}, True
        changed.set()
        await until(lambda: len(asked) == 3)
        assert [(each["op"], list(each["streams"])) for each in asked] == [
            ("subscribe", ["10"]),
            ("unsubscribe", ["10"]),
            ("subscribe", ["11"]),
        ]

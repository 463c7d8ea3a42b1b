"""What a client may say over the WebSocket, and what it is answered: nothing it says breaks more than its own command."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from structlog.testing import capture_logs

from dataserver.socket import identity
from dataserver.socket.connection import MAX_MALFORMED_COUNT
from tests.support.socket_peer import SocketBench, open_sockets
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[SocketBench]:
    async with open_sockets(tmp_path / "chat.db") as bench:
        yield bench


async def test_every_change_does_what_its_route_does(bench: SocketBench) -> None:
    chat, room = bench.chat, str(bench.chat.room)
    ann = await bench.peer(chat.ann)
    sent = (await ann.ask(op="send", room=room, client_id="m1", content="hello", mentions=[]))["ok"]
    message = sent["id"]
    for number, command in enumerate(
        [
            {"op": "edit", "message": "m1", "content": "hello!"},
            {"op": "react", "message": message, "emoji": "👍"},
            {"op": "unreact", "message": message, "emoji": "👍"},
            {"op": "pin", "message": message},
            {"op": "unpin", "message": message},
            {"op": "delete", "message": message},
        ]
    ):
        answer = await ann.ask(client_id=f"a{number}", **command)
        assert answer["ok"]["duplicate"] is False, answer
    assert [event["kind"] for event in await chat.events()] == [
        "message.created", "message.edited", "reaction.added", "reaction.removed", "pin.added", "pin.removed",
        "message.deleted",
    ]  # fmt: skip
    assert (await ann.ask(op="void", room=room, session="s", dev_seq=1))["ok"] == {}
    assert (await ann.ask(op="read", room=room, seq=1))["ok"] == {"room_id": room, "seq": 1}
    assert (await ann.ask(op="act", client_id="a0"))["ok"]["kind"] == "edit-message"
    assert (await ann.ask(op="act", client_id="never"))["error"]["code"] == "not_found"


async def test_the_same_send_again_is_answered_as_the_first_time(bench: SocketBench) -> None:
    ann = await bench.peer(bench.chat.ann)
    command = {"op": "send", "room": str(bench.chat.room), "client_id": "m1", "content": "hello"}
    first, again = await ann.ask(**command), await ann.ask(**command)
    assert again["ok"] == {**first["ok"], "duplicate": True}
    other = await ann.ask(**{**command, "content": "other"})
    assert (other["error"]["code"], other["error"]["class"]) == ("client_id_reused", "conflict")


async def test_sends_that_are_not_waited_for_are_stored_in_the_order_in_which_they_came(
    bench: SocketBench,
) -> None:
    ann, room = await bench.peer(bench.chat.ann), str(bench.chat.room)
    for number in range(200):
        ann.say(id=number, op="send", room=room, client_id=f"m{number}", content=f"{number}")
    ann.say(id=200, op="edit", client_id="e", message="m199", content="edited")
    await ann.until_told("ok", 1 + 201)
    assert [each["content"] for each in await bench.chat.messages()] == [*map(str, range(199)), "edited"]


async def test_a_reply_may_name_a_message_that_was_sent_just_before_it(bench: SocketBench) -> None:
    ann, room = await bench.peer(bench.chat.ann), str(bench.chat.room)
    ann.say(op="send", room=room, client_id="m1", content="question")
    answer = await ann.ask(op="send", room=room, client_id="m2", content="answer", reply_to="m1")
    first, second = await bench.chat.messages()
    assert second["reply_to"] == first["id"] != answer["ok"]["id"]


async def test_only_so_many_commands_are_under_way_and_no_more_is_read(tmp_path: Path) -> None:
    async with open_sockets(tmp_path / "chat.db", max_in_flight=4) as bench:
        most = 0
        real = bench.chat.chat.sending.send

        async def counted(message: Any) -> Any:
            nonlocal most
            running.add(message.client_id)
            most = max(most, len(running))
            try:
                return await real(message)
            finally:
                running.discard(message.client_id)

        running: set[str] = set()
        bench.chat.chat.sending.send = counted  # type: ignore[method-assign] # counts what runs at once
        ann = await bench.peer(bench.chat.ann)
        for number in range(50):
            ann.say(id=number, op="send", room=str(bench.chat.room), client_id=f"m{number}", content="x")
        await ann.until_told("ok", 51)
        assert most == 4


async def test_what_had_begun_when_the_client_left_is_finished(bench: SocketBench) -> None:
    ann = await bench.peer(bench.chat.ann)
    ann.say(op="send", room=str(bench.chat.room), client_id="m1", content="last words")
    ann.leave()
    await until(lambda: bench.hub.open_count == 0)
    assert [each["content"] for each in await bench.chat.messages()] == ["last words"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"op": "send", "room": "1", "client_id": "a"}, "invalid_body"),
        ({"op": "send", "room": 1, "client_id": "a", "content": "x"}, "invalid_body"),
        ({"op": "send", "room": "nowhere", "client_id": "a", "content": "x"}, "not_found"),
        ({"op": "send", "room": "99999", "client_id": "a", "content": "x"}, "not_found"),
        ({"op": "send", "room": "1", "client_id": "a", "content": "x", "dev_seq": 1}, "invalid_body"),
        ({"op": "send", "room": "1", "client_id": "ä", "content": "x"}, "invalid_value"),
        ({"op": "fly"}, "invalid_body"),
        ({"op": 7}, "invalid_body"),
        ({}, "invalid_body"),
        ({"op": "ping", "more": True}, "invalid_body"),
        ({"op": "subscribe", "streams": {}}, "invalid_body"),
        ({"op": "subscribe", "streams": {"x": None}}, "not_found"),
        ({"op": "subscribe", "streams": {"1": {"epoch": "e", "seq": -1}}}, "invalid_body"),
        ({"op": "typing", "room": "1"}, "not_found"),
        ({"op": "presence", "status": "dancing"}, "invalid_body"),
        ({"op": "hello", "token": "nobody's"}, "unauthenticated"),
        (
            {"op": "edit", "client_id": "a", "message": "'; DROP TABLE message; --", "content": "x"},
            "not_found",
        ),
    ],
)
async def test_what_can_not_be_done_is_refused_in_words(
    bench: SocketBench, command: dict[str, Any], code: str
) -> None:
    eve = await bench.peer(bench.chat.eve)
    error = (await eve.ask(**command))["error"]
    assert error["code"] == code, error
    assert (await eve.ask(op="ping"))["ok"] == {}


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"ping"', '{"op": "ping"', "\x00", "{" * 50_000])
async def test_what_is_no_command_is_refused_and_the_next_one_is_answered(
    bench: SocketBench, text: str
) -> None:
    ann = await bench.peer(bench.chat.ann)
    ann.say_text(text)
    (error,) = await ann.until_told("error")
    assert error["code"] == "invalid_body"
    ann.say_bytes(b"\xff")
    await ann.until_told("error", 2)
    assert (await ann.ask(op="ping"))["ok"] == {}


async def test_who_says_nothing_else_is_closed(bench: SocketBench) -> None:
    ann = await bench.peer(bench.chat.ann)
    for _ in range(MAX_MALFORMED_COUNT):
        ann.say_text("nonsense")
    await until(lambda: ann.closed is not None)
    assert ann.closed is not None
    assert ann.closed[0] == 4400


async def test_nobody_is_served_who_has_not_said_who_it_is(bench: SocketBench) -> None:
    nobody = bench.connect()
    answer = await nobody.ask(op="subscribe", streams={str(bench.chat.room): None})
    assert answer["error"]["code"] == "unauthenticated"
    nobody.leave()
    await until(lambda: bench.hub.open_count == 0)


async def test_who_does_not_say_it_in_time_is_closed(tmp_path: Path) -> None:
    async with open_sockets(tmp_path / "chat.db", hello_timeout_s=0.01) as bench:
        nobody = bench.connect()
        await until(lambda: nobody.closed is not None)
        assert nobody.closed is not None
        assert nobody.closed[0] == 4402


async def test_connections_past_the_bound_are_refused_with_the_handshake(tmp_path: Path) -> None:
    async with open_sockets(tmp_path / "chat.db", max_connections=1) as bench:
        await bench.peer(bench.chat.ann)
        second = bench.connect()
        (error,) = await second.until_told("error")
        assert (second.status, error["code"]) == (503, "too_many_connections")


async def test_a_user_has_only_so_many_connections(tmp_path: Path) -> None:
    async with open_sockets(tmp_path / "chat.db", max_connections_per_user=1) as bench:
        await bench.peer(bench.chat.ann)
        second = bench.connect()
        second.say(op="hello", token=bench.token(bench.chat.ann, device_id=77))
        await until(lambda: second.closed is not None)
        assert second.closed is not None
        assert second.closed[0] == 4029
        assert "ok" in await (await bench.peer(bench.chat.bob)).ask(op="ping")


async def test_a_session_that_ends_closes_its_connections_and_no_other(bench: SocketBench) -> None:
    phone = await bench.follower(bench.chat.ann)
    laptop = await bench.peer(bench.chat.ann, device_id=77)
    bench.hub.end_session(bench.chat.ann, bench.chat.ann)
    await until(lambda: phone.closed is not None)
    assert phone.closed is not None
    assert phone.closed[0] == 4401
    assert (await laptop.ask(op="ping"))["ok"] == {}


async def test_a_token_that_ends_closes_the_connection_unless_a_new_one_was_said(
    bench: SocketBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "TOKEN_CHECK_S", 0.05)
    renewed, stale = await bench.peer(bench.chat.ann), await bench.peer(bench.chat.bob)
    token = bench.token(bench.chat.ann)
    assert (await renewed.ask(op="hello", token=token))["ok"]["user"] == str(bench.chat.ann)
    for old in [each for each in bench.tokens if each != token.encode()]:
        del bench.tokens[old]
    await until(lambda: stale.closed is not None)
    assert stale.closed is not None
    assert stale.closed[0] == 4401
    assert (await renewed.ask(op="ping"))["ok"] == {}


async def test_another_devices_token_is_not_taken_on_an_open_connection(bench: SocketBench) -> None:
    ann = await bench.peer(bench.chat.ann)
    answer = await ann.ask(op="hello", token=bench.token(bench.chat.bob))
    assert answer["error"]["code"] == "unauthenticated"


async def test_a_bug_costs_one_command(bench: SocketBench) -> None:
    ann = await bench.peer(bench.chat.ann)
    bench.chat.chat.acting.answered = broken  # type: ignore[assignment] # a bug, made on purpose
    with capture_logs() as logs:
        error = (await ann.ask(op="act", client_id="a"))["error"]
    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["socket.command_failed"]
    assert (error["code"], "secret" in json.dumps(error)) == ("internal", False)
    assert (await ann.ask(op="ping"))["ok"] == {}


async def broken(*_: object) -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError("secret")


async def test_who_types_is_told_to_those_who_follow_the_room(bench: SocketBench) -> None:
    bob = await bench.follower(bench.chat.bob)
    ann = await bench.follower(bench.chat.ann)
    for _ in range(5):
        assert (await ann.ask(op="typing", room=str(bench.chat.room)))["ok"] == {}
    (told,) = await bob.until_told("typing")
    assert told == {"room": str(bench.chat.room), "users": [str(bench.chat.ann)]}


async def test_who_is_there_is_told_in_the_space(bench: SocketBench) -> None:
    chat = bench.chat
    ann = await bench.follower(chat.ann, chat.space)
    await ann.until_told("presence")
    bob = await bench.follower(chat.bob, chat.space)
    await bob.ask(op="presence", status="away")
    assert {"space": str(chat.space), "users": {str(chat.bob): "away"}} in await ann.until_told("presence", 2)
    bob.leave()
    told = await ann.until_told("presence", 3)
    assert told[-1] == {"space": str(chat.space), "users": {str(chat.bob): "offline"}}
    again = await bench.peer(chat.bob)
    answer = await again.ask(op="subscribe", streams={str(chat.space): None})
    assert answer["ok"][str(chat.space)]["present"] == {str(chat.ann): "online"}


async def test_who_comes_while_the_server_drains_is_refused(bench: SocketBench) -> None:
    bench.hub.drain()
    late = bench.connect()
    (error,) = await late.until_told("error")
    assert (late.status, error["code"]) == (503, "draining")
    with anyio.fail_after(5):
        await bench.hub.until_empty(5)

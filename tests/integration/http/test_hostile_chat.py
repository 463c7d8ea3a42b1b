"""What nobody should say to the chat: every field of every command and every route is given what it is not for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args
from urllib.parse import quote

import msgspec
import pytest
from structlog.testing import capture_logs

from dataserver.event_streams import EVENT_STREAM
from dataserver.openapi import description
from dataserver.refusals import InvalidBody
from dataserver.routes import ROUTES
from dataserver.socket import ops
from tests.support.asgi import Call
from tests.support.chat_application import open_application
from tests.support.chat_domain import ChatBench
from tests.support.http import checked_error
from tests.support.socket_peer import SocketBench, open_sockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOSTILE: Final = "x'); DROP TABLE message; --<script>alert(1)</script>\u202e\\{}%s$.x"
PASSWORD: Final = "correct horse battery"  # noqa: S105 - of a user that lives for one test
OPS: Final = {each.__struct_config__.tag: each for each in get_args(ops.Command)}
FITTING: Final[dict[str, Any]] = {
    "id": 1, "room": "1", "message": "1", "client_id": "c", "content": "x", "reply_to": "1", "mentions": ["1"],
    "session": "s", "dev_seq": 1, "emoji": "+1", "seq": 1, "status": "away", "token": "t", "streams": {"1": None},
}  # fmt: skip
"""A value of the right type for each field of an op; the streams of `unsubscribe` are a list."""
WRONG: Final[dict[type, tuple[Any, ...]]] = {
    str: (1, 1.5, True, [], {}, ["x"]),
    int: ("1", 1.5, True, [], {}, -1, 2**64),
    list: ("1", 1, {}, [1], [None], [[]]),
    dict: ("1", 1, {}, [], {"1": 1}, {"1": {"epoch": 1, "seq": 1}}, {"1": {"epoch": "e", "seq": "1"}}),
}
"""By the type that a field has, what it can not be."""


def fitting(tag: str) -> dict[str, Any]:
    """Return a command with all of its fields."""
    fields = {each.encode_name: FITTING[each.encode_name] for each in msgspec.structs.fields(OPS[tag])}
    return {"op": tag, **fields, **({"streams": ["1"]} if tag == "unsubscribe" else {})}


@pytest.mark.parametrize("tag", sorted(OPS))
def test_a_wrong_type_in_any_field_of_any_op_is_refused(tag: str) -> None:
    command = fitting(tag)
    ops.decoded(json.dumps(command))
    for name, value in command.items():
        for wrong in WRONG[type(value)]:
            with pytest.raises(InvalidBody):
                ops.decoded(json.dumps({**command, name: wrong}))
    with pytest.raises(InvalidBody):
        ops.decoded(json.dumps({**command, "more": 1}))


@pytest.fixture
async def sockets(tmp_path: Path) -> AsyncIterator[SocketBench]:
    async with open_sockets(tmp_path / "chat.db") as bench:
        yield bench


async def test_sql_and_script_in_any_field_of_any_op_is_text_and_no_more(sockets: SocketBench) -> None:
    chat = sockets.chat
    sent = await chat.send("hello")
    eve = await sockets.peer(chat.eve)
    for tag in sorted(OPS.keys() - {"hello"}):
        command = {name: value for name, value in fitting(tag).items() if name != "id"}
        for name in command.keys() - {"op"}:
            if isinstance(command[name], str):
                answer = await eve.ask(**{**command, name: HOSTILE[:60]})
                assert answer["error"]["code"] in {"not_found", "invalid_body", "invalid_value"}, (tag, name)
    ann = await sockets.follower(chat.ann)
    await ann.ask(op="send", room=str(chat.room), client_id="h", content=HOSTILE)
    await ann.ask(op="edit", message=sent.id, client_id="e", content=HOSTILE)
    await ann.ask(op="react", message=sent.id, client_id="r", emoji=HOSTILE[:64])
    found = await chat.messages()
    assert [each["content"] for each in found] == [HOSTILE, HOSTILE]
    assert found[0]["reactions"] == [{"emoji": HOSTILE[:64], "user": str(chat.ann)}]


async def test_the_client_id_of_somebody_else_names_nothing_of_theirs(sockets: SocketBench) -> None:
    chat, room = sockets.chat, str(sockets.chat.room)
    ann, bob = await sockets.peer(chat.ann), await sockets.peer(chat.bob)
    assert "ok" in await ann.ask(op="send", room=room, client_id="hers", content="secret")
    for command in (
        {"op": "edit", "message": "hers", "content": "his"},
        {"op": "delete", "message": "hers"},
        {"op": "react", "message": "hers", "emoji": "+1"},
        {"op": "send", "room": room, "content": "?", "reply_to": "hers"},
    ):
        assert (await bob.ask(client_id="b", **command))["error"]["code"] == "not_found", command
    assert (await bob.ask(op="act", client_id="hers"))["error"]["code"] == "not_found"
    assert (await bob.ask(op="send", room=room, client_id="hers", content="his"))["ok"]["duplicate"] is False
    assert [each["content"] for each in await chat.messages()] == ["secret", "his"]


async def test_a_user_who_is_kicked_in_mid_stream_hears_and_does_nothing_more_with_the_same_token(
    sockets: SocketBench,
) -> None:
    chat, room = sockets.chat, str(sockets.chat.room)
    sent = await chat.send("mine", sender=chat.bob)
    bob, other = await sockets.follower(chat.bob, chat.room, chat.space), await sockets.follower(chat.ann)
    await chat.chat.moderation.kick(chat.ann, "kick", chat.space, chat.bob)
    await bob.until_told("ended")
    heard = len(bob.of("event"))
    await chat.send("after")
    await other.until_told("event")
    for number, command in enumerate(
        (
            {"op": "send", "room": room, "content": "x"},
            {"op": "edit", "message": sent.id, "content": "x"},
            {"op": "delete", "message": sent.id},
            {"op": "react", "message": sent.id, "emoji": "+1"},
            {"op": "unreact", "message": sent.id, "emoji": "+1"},
            {"op": "pin", "message": sent.id},
            {"op": "unpin", "message": sent.id},
        )
    ):
        answer = await bob.ask(client_id=f"b{number}", **command)
        assert answer["error"]["code"] == "not_found", command
    for alone in ({"op": "typing", "room": room}, {"op": "read", "room": room, "seq": 1}):
        assert (await bob.ask(**alone))["error"]["code"] == "not_found", alone
    again = await bob.ask(op="subscribe", streams={room: None})
    assert "ok" not in again or again["ok"][room]["error"]["code"] == "not_found"
    assert len(bob.of("event")) == heard
    assert [each["content"] for each in await chat.messages()] == ["mine", "after"]


@dataclass
class House:
    """The application, and a user who may do everything on the server."""

    app: Any
    chat: ChatBench
    token: str


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_application(tmp_path) as (app, bench):
        issued = await bench.chat.accounts.register("queen", PASSWORD)
        await bench.chat.accounts.users.set_role("queen", "admin")
        await bench.member(int(issued.user_id))
        yield House(app, bench, issued.access_token)


DOCUMENT: Final = description(ROUTES)


def filled(schema: dict[str, Any]) -> Any:
    """Return a value of a schema, with hostile text wherever it may be any text."""
    if "$ref" in schema:
        return filled(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return filled(schema["anyOf"][0])
    inner = schema.get("properties", {})
    of_type: dict[str, Any] = {
        "object": {name: filled(each) for name, each in inner.items()} or {HOSTILE: HOSTILE},
        "integer": 1,
        "number": 1,
        "boolean": True,
    }
    if schema.get("type") == "array":
        return [filled(schema.get("items", {}))]
    text = schema.get("enum", [HOSTILE[: schema.get("maxLength", 200)]])[0]
    return of_type.get(schema.get("type", "string"), text)


@pytest.mark.parametrize("in_place", ["hostile", "1", "5"])
async def test_sql_and_script_in_every_text_of_every_route_is_refused_or_kept_as_text(
    house: House, in_place: str
) -> None:
    sent = await house.chat.send("hello")
    tables = "SELECT count(*) FROM sqlite_schema"
    before = await house.chat.chat.tables._database.query_one(tables)
    tried = 0
    for route in ROUTES:
        if EVENT_STREAM in route.media or route.path in {"/v1/auth/logout", "/v1/admin/self-test"}:
            continue
        described = DOCUMENT["paths"][route.path][route.method.lower()]
        named = quote(HOSTILE, safe="") if in_place == "hostile" else in_place
        query = "&".join(
            f"{each['name']}={quote(str(filled(each['schema'])), safe='')}"
            for each in described["parameters"]
            if each["in"] == "query"
        )
        body = b""
        if route.reads is not None:
            body = json.dumps(
                filled(described["requestBody"]["content"]["application/json"]["schema"])
            ).encode()
        elif route.reads_media:
            body = HOSTILE.encode()
        headers = {
            b"authorization": f"Bearer {house.token}".encode(),
            b"content-type": (*route.reads_media, b"application/json")[0],
        }
        path = re.sub(r"\{\w+\}", lambda _, named=named: named, route.path)  # type: ignore[misc]  # bound now
        with capture_logs() as logs:
            call = await Call(route.method, f"{path}?{query}", body=[body], headers=headers).by(house.app)
        failed = [(each["route"], each["exc_info"]) for each in logs if each["event"] == "request.failed"]
        assert not failed
        assert call.status < 500, (route.label, call.answer)
        if call.status >= 400:
            checked_error(call.answer)
        tried += 1
    assert tried > 90
    assert await house.chat.chat.tables._database.query_one(tables) == before
    (found,) = [each for each in await house.chat.messages() if each["id"] == sent.id]
    assert (found["content"], found["sender"]) == ("hello", str(house.chat.ann))

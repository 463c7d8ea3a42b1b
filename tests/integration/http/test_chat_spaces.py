"""The routes of spaces through the whole application: each does what it says, and answers what it declares."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

import storage
from dataserver.app import Application, build_application
from dataserver.auth import MIGRATIONS, TokenStore
from dataserver.routes import ROUTES
from tests.support.asgi import Call
from tests.support.chat_domain import ChatBench, open_bench
from workers import SystemClock

SETTINGS = storage.StorageSettings(kind="thread", worker_count=1)
PASSWORD = "correct horse battery"  # noqa: S105 - of a test
ANSWERS = {route.label: route.answers for route in ROUTES}


class Caller:
    """A user who calls the application."""

    def __init__(self, app: Application, user: int, token: str) -> None:
        self._app = app
        self.user = user
        self._headers = {b"authorization": f"Bearer {token}".encode()}

    async def call(
        self, label: str, body: Any = None, *, query: str = "", match: str | None = None, **path: Any
    ) -> Any:
        """Call a route, let its answer be of the type that it declares, and return it."""
        answered = await self.answered(label, body, query=query, match=match, **path)
        assert answered.status in {200, 201}, answered.answer
        if ANSWERS[label] is not None:
            msgspec.json.decode(answered.answer, type=ANSWERS[label])
        return json.loads(answered.answer)

    async def refused(self, label: str, body: Any = None, *, query: str = "", **path: Any) -> tuple[int, str]:
        """Call a route, and return with which status and code it refuses."""
        answered = await self.answered(label, body, query=query, **path)
        return answered.status, json.loads(answered.answer)["error"]["code"]

    async def answered(
        self, label: str, body: Any = None, *, query: str = "", match: str | None = None, **path: Any
    ) -> Call:
        method, _, template = label.partition(" ")
        headers = dict(self._headers)
        if match is not None:
            headers[b"if-match"] = match.encode()
        sent = b"" if body is None else json.dumps(body).encode()
        address = template.format(**path) + query
        return await Call(method, address, body=[sent], headers=headers).by(self._app)


@pytest.fixture
async def callers(tmp_path: Path) -> AsyncIterator[tuple[ChatBench, Caller, Caller]]:
    async with (
        open_bench(tmp_path / "chat.db") as bench,
        storage.open_databases(tmp_path / "data", SETTINGS) as databases,
        storage.open(tmp_path / "server.db", SETTINGS, migrations=MIGRATIONS) as own,
    ):
        tokens = await TokenStore.open(own, clock=SystemClock())
        app = build_application(
            databases, tokens, backups=storage.BackupFolder(tmp_path / "backups"), chat=bench.chat
        )
        found = []
        for name in ("queen", "guest"):
            issued = await bench.chat.accounts.register(name, PASSWORD)
            session = bench.chat.accounts.authenticate(f"Bearer {issued.access_token}".encode())
            found.append(Caller(app, session.user_id, issued.access_token))
        yield bench, found[0], found[1]


async def test_a_space_is_made_changed_listed_opened_and_ended(
    callers: tuple[ChatBench, Caller, Caller],
) -> None:
    _, queen, guest = callers
    made = await queen.call("POST /v1/spaces", {"client_id": "a", "name": "Hive"})
    space = made["id"]
    await queen.call(
        "PATCH /v1/spaces/{id}",
        {"client_id": "b", "fields": {"description": "Ours"}},
        match='"1"',
        id=space,
    )
    conflict = await queen.answered(
        "PATCH /v1/spaces/{id}",
        {"client_id": "c", "fields": {"name": "Nest"}},
        match='"1"',
        id=space,
    )
    error = json.loads(conflict.answer)["error"]
    assert (conflict.status, error["code"], error["details"]["current"]["version"]) == (
        412,
        "version_conflict",
        2,
    )
    found = await queen.call("GET /v1/spaces/{id}", id=space)
    assert found["settings"] == {"name": "Hive", "description": "Ours"}
    assert [each["id"] for each in (await queen.call("GET /v1/spaces"))["spaces"]] == [space]

    assert await guest.refused("POST /v1/spaces/{id}/join", {"client_id": "a"}, id=space) == (
        404,
        "not_found",
    )
    await queen.call("PUT /v1/spaces/{id}/open", {"client_id": "d", "is_open": True}, id=space)
    await guest.call("POST /v1/spaces/{id}/join", {"client_id": "b"}, id=space)
    await guest.call("POST /v1/spaces/{id}/leave", {"client_id": "c"}, id=space)
    assert await guest.refused("GET /v1/spaces/{id}", id=space) == (404, "not_found")
    await queen.call("DELETE /v1/spaces/{id}", query="?client_id=e", id=space)
    assert (await queen.call("GET /v1/spaces"))["spaces"] == []


async def test_members_are_let_in_by_links_and_ruled(callers: tuple[ChatBench, Caller, Caller]) -> None:
    _, queen, guest = callers
    space = (await queen.call("POST /v1/spaces", {"client_id": "a", "name": "Hive"}))["id"]
    label = "POST /v1/spaces/{id}/invites"
    link = await queen.call(label, {"client_id": "b", "uses": 1, "age_s": 60}, id=space)
    again = await queen.call(label, {"client_id": "b", "uses": 1, "age_s": 60}, id=space)
    assert (again["id"], "secret" in again) == (link["id"], False)
    await guest.call("POST /v1/invites/{secret}/join", {"client_id": "a"}, secret=link["secret"])
    spare = await queen.call(label, {"client_id": "c"}, id=space)
    listed = (await queen.call("GET /v1/spaces/{id}/invites", id=space))["invites"]
    assert [each["id"] for each in listed] == [spare["id"]]
    await queen.call(
        "DELETE /v1/spaces/{id}/invites/{invite}", query="?client_id=d", id=space, invite=spare["id"]
    )

    member = {"id": space, "user": guest.user}
    await queen.call("PATCH /v1/spaces/{id}/members/{user}", {"client_id": "e", "role": "admin"}, **member)
    roles = {
        each["name"]: each["role"]
        for each in (await guest.call("GET /v1/spaces/{id}/members", id=space))["members"]
    }
    assert roles == {"queen": "owner", "guest": "admin"}
    await queen.call("PUT /v1/spaces/{id}/members/{user}/mute", {"client_id": "f"}, **member)
    muted = (await queen.call("GET /v1/spaces/{id}/muted", query="?limit=5", id=space))["muted"]
    assert [each["user"] for each in muted] == [str(guest.user)]
    await queen.call("DELETE /v1/spaces/{id}/members/{user}/mute", query="?client_id=g", **member)
    await queen.call("DELETE /v1/spaces/{id}/members/{user}", query="?client_id=h", **member)
    assert await guest.refused("GET /v1/spaces/{id}/members", id=space) == (404, "not_found")


async def test_rooms_groups_pins_edits_markers_and_search(callers: tuple[ChatBench, Caller, Caller]) -> None:
    _, queen, _ = callers
    space = (await queen.call("POST /v1/spaces", {"client_id": "a", "name": "Hive"}))["id"]
    group = (await queen.call("POST /v1/spaces/{id}/groups", {"client_id": "b", "name": "G"}, id=space))["id"]
    created = {"client_id": "c", "name": "tea", "group": group}
    room = (await queen.call("POST /v1/spaces/{id}/rooms", created, id=space))["id"]
    assert await queen.refused(
        "POST /v1/spaces/{id}/rooms", {"client_id": "c2", "name": "tea"}, id=space
    ) == (
        409,
        "taken",
    )
    await queen.call("PATCH /v1/rooms/{id}", {"client_id": "d", "fields": {"topic": "Leaves"}}, id=room)
    assert (await queen.call("GET /v1/rooms/{id}", id=room))["topic"] == "Leaves"
    (listed,) = (await queen.call("GET /v1/spaces/{id}/rooms", id=space))["rooms"]
    assert (listed["group"], listed["name"]) == (group, "tea")

    sent = await queen.call("POST /v1/rooms/{id}/messages", {"client_id": "m", "content": "hot tea"}, id=room)
    message = {"id": room, "message": sent["id"]}
    await queen.call(
        "PATCH /v1/rooms/{id}/messages/{message}", {"client_id": "e", "content": "cold tea"}, **message
    )
    (edit,) = (await queen.call("GET /v1/rooms/{id}/messages/{message}/edits", **message))["edits"]
    assert edit["content"] == "hot tea"
    await queen.call("PUT /v1/rooms/{id}/pins/{message}", {"client_id": "p"}, **message)
    (pin,) = (await queen.call("GET /v1/rooms/{id}/pins", id=room))["pins"]
    assert (pin["message"]["content"], pin["pinned_by"]) == ("cold tea", str(queen.user))
    assert (await queen.call("PUT /v1/rooms/{id}/read", {"seq": 2}, id=room))["seq"] == 2

    for query in ("?q=tea", f"?q=tea&order=newest&room={room}&space={space}&sender={queen.user}&before=999"):
        (hit,) = (await queen.call("GET /v1/search", query=query))["hits"]
        assert hit["message"]["id"] == sent["id"]
    assert await queen.refused("GET /v1/search", query="?q=%22") == (400, "invalid_value")
    assert await queen.refused("GET /v1/search", query="?q=a&order=odd") == (400, "invalid_parameter")
    assert await queen.refused("GET /v1/search", query="?q=a&room=x") == (400, "invalid_parameter")

    one = {"id": space, "group": group}
    await queen.call("PATCH /v1/spaces/{id}/groups/{group}", {"client_id": "f", "place": 2}, **one)
    (found,) = (await queen.call("GET /v1/spaces/{id}/groups", id=space))["groups"]
    assert found == {"id": group, "name": "G", "place": 2}
    await queen.call("DELETE /v1/spaces/{id}/groups/{group}", query="?client_id=g", **one)


ON_A_MESSAGE: dict[str, tuple[Any, str]] = {
    "PATCH /v1/rooms/{id}/messages/{message}": ({"content": "other"}, ""),
    "DELETE /v1/rooms/{id}/messages/{message}": (None, "?client_id={client_id}"),
    "GET /v1/rooms/{id}/messages/{message}/edits": (None, ""),
    "PUT /v1/rooms/{id}/messages/{message}/reactions/{emoji}": ({}, ""),
    "DELETE /v1/rooms/{id}/messages/{message}/reactions/{emoji}": (None, "?client_id={client_id}"),
    "PUT /v1/rooms/{id}/pins/{message}": ({}, ""),
    "DELETE /v1/rooms/{id}/pins/{message}": (None, "?client_id={client_id}"),
}
"""Every route with a message in its address, and what it is sent."""


def test_the_routes_on_a_message_are_all_tried() -> None:
    assert {label for label in ANSWERS if "{message}" in label} == ON_A_MESSAGE.keys()


@pytest.mark.parametrize("label", ON_A_MESSAGE)
async def test_a_message_is_not_found_in_another_room_than_its_own(
    callers: tuple[ChatBench, Caller, Caller], label: str
) -> None:
    _, queen, _ = callers
    space = (await queen.call("POST /v1/spaces", {"client_id": "a", "name": "Hive"}))["id"]
    own, other = [
        (await queen.call("POST /v1/spaces/{id}/rooms", {"client_id": name, "name": name}, id=space))["id"]
        for name in ("own", "other")
    ]
    said = {"client_id": "m", "content": "hello"}
    sent = (await queen.call("POST /v1/rooms/{id}/messages", said, id=own))["id"]
    before = (await queen.call("GET /v1/rooms/{id}/events", id=own))["events"]

    async def asked(room: str, message: str, client_id: str) -> Call:
        fields, query = ON_A_MESSAGE[label]
        body = None if fields is None else {**fields, "client_id": client_id}
        names = {"id": room, "message": message, "emoji": "%2B1"}
        return await queen.answered(label, body, query=query.format(client_id=client_id), **names)

    for number, message in enumerate((sent, "m")):
        wrong = await asked(other, message, f"w{number}")
        assert wrong.status == 404
        unknown = await asked(own, "999999", f"u{number}")
        assert json.loads(wrong.answer)["error"] == {
            **json.loads(unknown.answer)["error"], "message": f"there is no message {sent}",
        }  # fmt: skip
    assert (await queen.call("GET /v1/rooms/{id}/events", id=own))["events"] == before
    assert (await asked(own, "m", "c")).status == 200


async def test_what_belongs_to_another_space_or_user_is_not_found(
    callers: tuple[ChatBench, Caller, Caller],
) -> None:
    _, queen, guest = callers
    mine, theirs = [
        (await who.call("POST /v1/spaces", {"client_id": "a", "name": "Hive"}))["id"]
        for who in (queen, guest)
    ]
    group = (await guest.call("POST /v1/spaces/{id}/groups", {"client_id": "g", "name": "G"}, id=theirs))[
        "id"
    ]
    link = await guest.call("POST /v1/spaces/{id}/invites", {"client_id": "i"}, id=theirs)
    room = (await guest.call("POST /v1/spaces/{id}/rooms", {"client_id": "r", "name": "R"}, id=theirs))["id"]
    key = {"client_id": "k", "algorithm": "ed25519", "public_key": "A" * 43 + "="}
    await guest.call("POST /v1/me/signing-keys", key)
    (key_id,) = [each["id"] for each in (await guest.call("GET /v1/me/signing-keys"))["keys"]]
    for number, (label, body, names) in enumerate(
        [
            ("PATCH /v1/spaces/{id}/groups/{group}", {"place": 1}, {"id": mine, "group": group}),
            ("DELETE /v1/spaces/{id}/groups/{group}", None, {"id": mine, "group": group}),
            ("POST /v1/spaces/{id}/rooms", {"name": "x", "group": group}, {"id": mine}),
            ("DELETE /v1/spaces/{id}/invites/{invite}", None, {"id": mine, "invite": link["id"]}),
            ("PATCH /v1/spaces/{id}/members/{user}", {"role": "admin"}, {"id": mine, "user": guest.user}),
            ("PUT /v1/spaces/{id}/members/{user}/mute", {}, {"id": mine, "user": guest.user}),
            ("PATCH /v1/rooms/{id}", {"fields": {"topic": "ours"}}, {"id": room}),
        ]
    ):
        client_id = f"c{number}"
        sent = None if body is None else {**body, "client_id": client_id}
        query = f"?client_id={client_id}" if body is None else ""
        assert await queen.refused(label, sent, query=query, **names) == (404, "not_found"), label
    await queen.answered("DELETE /v1/me/signing-keys/{id}", query="?client_id=d", id=key_id)
    assert len((await guest.call("GET /v1/me/signing-keys"))["keys"]) == 1
    assert [each["id"] for each in (await guest.call("GET /v1/spaces/{id}/groups", id=theirs))["groups"]] == [
        group
    ]
    assert [
        each["id"] for each in (await guest.call("GET /v1/spaces/{id}/invites", id=theirs))["invites"]
    ] == [link["id"]]


async def test_a_conversation_of_two_is_opened_and_listed(callers: tuple[ChatBench, Caller, Caller]) -> None:
    _, queen, guest = callers
    opened = await queen.call("POST /v1/direct", {"client_id": "a", "user": str(guest.user)})
    (listed,) = (await guest.call("GET /v1/spaces"))["spaces"]
    assert (listed["id"], listed["with"]["name"]) == (opened["space_id"], "queen")
    assert await queen.refused("POST /v1/direct", {"client_id": "b", "user": "x"}) == (404, "not_found")


HOSTILE = "Robert'); DROP TABLE message; --<script>alert(1)</script>\u202e{}%s$.x"


async def test_sql_and_script_in_any_text_come_back_as_they_were_sent(
    callers: tuple[ChatBench, Caller, Caller],
) -> None:
    _, queen, guest = callers
    made = await queen.call(
        "POST /v1/spaces", {"client_id": HOSTILE[:8], "name": HOSTILE, "description": HOSTILE}
    )
    space = {"id": made["id"]}
    picture = {"name": HOSTILE[:64], "image": HOSTILE}
    fields = {"role_names": {"owner": HOSTILE[:50]}, "emoji": [picture], "stickers": [picture]}
    await queen.call("PATCH /v1/spaces/{id}", {"client_id": "b", "fields": fields}, **space)
    group = await queen.call("POST /v1/spaces/{id}/groups", {"client_id": "c", "name": HOSTILE}, **space)
    room = await queen.call(
        "POST /v1/spaces/{id}/rooms",
        {"client_id": "d", "name": HOSTILE, "topic": HOSTILE, "group": group["id"]},
        **space,
    )

    found = await queen.call("GET /v1/spaces/{id}", **space)
    assert found["settings"] == {"name": HOSTILE, "description": HOSTILE, **fields}
    (listed,) = (await queen.call("GET /v1/spaces/{id}/rooms", **space))["rooms"]
    assert (listed["name"], listed["topic"]) == (HOSTILE, HOSTILE)
    told = (await queen.call("GET /v1/rooms/{id}/events", id=made["id"]))["events"]
    assert told[-1]["body"] == {"room": room["id"], "name": HOSTILE, "topic": HOSTILE, "group": group["id"]}
    assert await queen.refused("GET /v1/search", query="?q=" + quote(HOSTILE)) == (400, "invalid_value")
    secret = quote(HOSTILE, safe="")
    label = "POST /v1/invites/{secret}/join"
    assert await guest.refused(label, {"client_id": "b"}, secret=secret) == (404, "not_found")
    await guest.call("POST /v1/spaces", {"client_id": "c", "name": "theirs, by a client id of hers"})


@pytest.mark.parametrize(
    ("label", "body", "query"),
    [
        ("POST /v1/spaces", {"client_id": "a"}, ""),
        ("POST /v1/spaces", {"client_id": "a", "name": 1}, ""),
        ("PATCH /v1/spaces/{id}", {"client_id": "a", "fields": {"colour": "red"}}, ""),
        ("PATCH /v1/spaces/{id}", {"client_id": "a", "fields": {"role_names": {"king": "x"}}}, ""),
        ("PATCH /v1/spaces/{id}/members/{user}", {"client_id": "a", "role": "king"}, ""),
        ("PUT /v1/rooms/{id}/read", {"seq": -1}, ""),
        ("DELETE /v1/spaces/{id}", None, ""),
        ("GET /v1/spaces/{id}/members", None, "?limit=0"),
        ("GET /v1/spaces/{id}/members", None, "?after=x"),
    ],
)
async def test_what_does_not_fit_is_refused_before_anything_is_done(
    callers: tuple[ChatBench, Caller, Caller], label: str, body: Any, query: str
) -> None:
    bench, queen, _ = callers
    status, code = await queen.refused(label, body, query=query, id=bench.space, user=1)
    assert (status, code) in {(400, "invalid_body"), (400, "invalid_parameter")}

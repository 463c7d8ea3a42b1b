"""Accounts and profiles over HTTP: bodies, statuses, headers, and who is let where."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import storage
from dataserver.app import build_application
from dataserver.auth import MIGRATIONS, TokenStore
from tests.support.asgi import Call
from tests.support.chat_domain import CHEAP_ACCOUNTS, ChatBench, open_bench
from tests.support.clocks import ManualClock
from tests.support.http import checked_error
from tests.support.pictures import png
from workers import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dataserver.app import Application

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
SETTINGS = storage.StorageSettings(kind="thread", worker_count=1)
ACCOUNTS = replace(
    CHEAP_ACCOUNTS,
    login_attempts_per_minute=5,
    refreshes_per_minute=5,
    searches_per_minute=3,
    creations_per_minute=20,
)


class Server:
    """The application with a chat, and what clients send it."""

    def __init__(self, app: Application, chat: ChatBench, clock: ManualClock, admin: str) -> None:
        self.app = app
        self.chat = chat
        self.clock = clock
        self.admin = admin

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[bytes, bytes] | None = None,
    ) -> Call:
        sent = dict(headers or {})
        if token is not None:
            sent[b"authorization"] = f"Bearer {token}".encode()
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await Call(method, path, body=[data], headers=sent).by(self.app)

    async def register(self, name: str = "zoe") -> dict[str, Any]:
        answer = await self.call("POST", "/v1/auth/register", {"name": name, "password": PASSWORD})
        assert answer.status == 201
        found: dict[str, Any] = json.loads(answer.answer)
        return found

    async def user_in_the_space(self, name: str = "zoe") -> dict[str, Any]:
        issued = await self.register(name)
        await self.chat.member(int(issued["user_id"]))
        return issued


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    clock = ManualClock()
    async with (
        storage.open_databases(tmp_path / "data", SETTINGS) as databases,
        storage.open(tmp_path / "server.db", SETTINGS, migrations=MIGRATIONS) as own,
        open_bench(tmp_path / "chat.db", clock=clock, accounts=ACCOUNTS) as chat,
    ):
        tokens = await TokenStore.open(own, clock=SystemClock())
        admin = await tokens.create(name="", role="admin")
        backups = storage.BackupFolder(tmp_path / "backups")
        app = build_application(databases, tokens, backups=backups, chat=chat.chat)
        yield Server(app, chat, clock, admin.token)


def headers_of(call: Call) -> dict[bytes, bytes]:
    return dict(call.sent[0]["headers"])


def refusal(call: Call) -> tuple[int, str, str]:
    error = checked_error(call.answer)
    return call.status, error["code"], error["class"]


async def test_the_whole_way_of_an_account(server: Server) -> None:
    issued = await server.register()
    assert issued.keys() == {
        "access_token",
        "refresh_token",
        "access_expires_at_ms",
        "user_id",
        "device_id",
        "name",
        "server_role",
    }
    me = json.loads((await server.call("GET", "/v1/me", token=issued["access_token"])).answer)
    assert (me["id"], me["name"], me["device"]) == (issued["user_id"], "zoe", issued["device_id"])

    login = await server.call(
        "POST", "/v1/auth/login", {"name": "zoe", "password": PASSWORD, "device": "phone"}
    )
    phone = json.loads(login.answer)
    assert headers_of(login)[b"cache-control"] == b"no-store"
    renewed = await server.call("POST", "/v1/auth/refresh", {"refresh_token": phone["refresh_token"]})
    phone = json.loads(renewed.answer)
    assert headers_of(renewed)[b"cache-control"] == b"no-store"

    listed = await server.call("GET", "/v1/auth/devices", token=phone["access_token"])
    devices = json.loads(listed.answer)["devices"]
    assert {(each["label"], each["is_this"]) for each in devices} == {("", False), ("phone", True)}
    ended = await server.call(
        "DELETE", f"/v1/auth/devices/{issued['device_id']}", token=phone["access_token"]
    )
    assert (ended.status, ended.answer) == (200, b"{}")
    gone = await server.call("GET", "/v1/me", token=issued["access_token"])
    assert refusal(gone) == (401, "unauthenticated", "auth")
    assert headers_of(gone)[b"www-authenticate"] == b"Bearer"

    changed = await server.call(
        "POST",
        "/v1/auth/password",
        {"current": PASSWORD, "new": "another password"},
        token=phone["access_token"],
    )
    assert changed.status == 200
    assert (await server.call("POST", "/v1/auth/logout", token=phone["access_token"])).status == 200
    for method, path in (("GET", "/v1/me"), ("POST", "/v1/auth/logout")):
        assert (await server.call(method, path, token=phone["access_token"])).status == 401


async def test_bodies_of_the_wrong_shape_are_refused_before_anything_is_done(server: Server) -> None:
    whole = {"name": "zoe", "password": PASSWORD}
    bodies: list[Any] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"name": "zoe", "password": "\\ud800\\ud800"}',
        {"name": "zoe"},
        {**whole, "name": 7},
        {**whole, "name": ["zoe"]},
        {**whole, "name": ""},
        {**whole, "name": "z" * 65},
        {**whole, "password": None},
        {**whole, "password": "x" * 1_025},
        {**whole, "device": {}},
        {**whole, "device": "x" * 101},
        {**whole, "server_role": "admin"},
        {**whole, "is_admin": True},
    ]
    for path in ("/v1/auth/register", "/v1/auth/login"):
        for body in bodies:
            assert refusal(await server.call("POST", path, body))[:2] == (400, "invalid_body"), body
    for body, status in (({}, 401), ({"refresh_token": 1}, 400), ({"refresh_token": "x" * 257}, 400)):
        assert refusal(await server.call("POST", "/v1/auth/refresh", body))[0] == status
    assert server.chat.chat.accounts._passwords._bridges.crypto.stats().completed_count == 0


async def test_wrong_passwords_are_answered_401_and_then_429_with_a_time(server: Server) -> None:
    await server.register()
    wrong = {"name": "zoe", "password": "wrong password"}
    for _ in range(5):
        assert refusal(await server.call("POST", "/v1/auth/login", wrong)) == (401, "wrong_password", "auth")
    late = await server.call("POST", "/v1/auth/login", wrong)

    assert refusal(late) == (429, "too_often", "rate")
    assert int(headers_of(late)[b"retry-after"]) == 12
    assert json.loads(late.answer)["error"]["retry_after_ms"] == 12_000


async def test_what_is_done_too_often_is_answered_429_with_a_time(server: Server) -> None:
    issued = await server.register()
    token = issued["access_token"]
    calls: list[tuple[str, str, Any, int]] = [
        ("GET", "/v1/search?q=x", None, 3),
        ("POST", "/v1/spaces", {"name": "one"}, 20),
        ("POST", "/v1/auth/password", {"current": PASSWORD, "new": PASSWORD}, 5),
        ("POST", "/v1/auth/refresh", {"refresh_token": issued["refresh_token"]}, 5),
    ]
    for method, path, body, count in calls:
        answers = [
            await server.call(
                method, path, {**body, "client_id": f"c{n}"} if path == "/v1/spaces" else body, token=token
            )
            for n in range(count + 1)
        ]
        assert {each.status for each in answers[:-1]} <= {200, 201}, path
        answer = answers[-1]
        assert refusal(answer) == (429, "too_often", "rate")
        assert int(headers_of(answer)[b"retry-after"]) >= 1
        assert json.loads(answer.answer)["error"]["retry_after_ms"] > 0


async def test_an_expired_token_is_refused_until_it_is_refreshed(server: Server) -> None:
    issued = await server.register()
    server.clock.advance(3_600)
    assert (await server.call("GET", "/v1/rooms", token=issued["access_token"])).status == 401
    again = await server.call("POST", "/v1/auth/refresh", {"refresh_token": issued["refresh_token"]})
    token = json.loads(again.answer)["access_token"]
    assert (await server.call("GET", "/v1/rooms", token=token)).status == 200
    used = await server.call("POST", "/v1/auth/refresh", {"refresh_token": issued["refresh_token"]})
    assert refusal(used) == (401, "unauthenticated", "auth")
    assert (await server.call("GET", "/v1/rooms", token=token)).status == 401


async def test_nothing_of_the_chat_answers_without_a_session(server: Server) -> None:
    for method, path in (
        ("GET", "/v1/me"),
        ("PATCH", "/v1/me/profile"),
        ("GET", "/v1/me/avatar"),
        ("PUT", "/v1/me/avatar"),
        ("DELETE", "/v1/me/avatar"),
        ("GET", "/v1/users?name=ann"),
        ("GET", "/v1/users/1"),
        ("GET", "/v1/users/1/avatar"),
        ("GET", "/v1/auth/devices"),
        ("DELETE", "/v1/auth/devices/1"),
        ("POST", "/v1/auth/logout"),
        ("POST", "/v1/auth/password"),
    ):
        for token in (None, "", "x", "dsu_x", server.admin):
            assert (await server.call(method, path, token=token)).status == 401, (method, path, token)


async def test_the_device_of_another_is_not_there(server: Server) -> None:
    zoe, max_ = await server.register("zoe"), await server.register("max")
    for device in (zoe["device_id"], "0", "-1", "1e3", "x", "999999", "9" * 30, "%00", "1%20OR%201=1"):
        answer = await server.call("DELETE", f"/v1/auth/devices/{device}", token=max_["access_token"])
        assert refusal(answer)[:2] == (404, "not_found")

    assert (await server.call("GET", "/v1/me", token=zoe["access_token"])).status == 200


async def test_a_user_reaches_databases_by_the_role_on_the_server_alone(server: Server) -> None:
    token = (await server.register())["access_token"]
    users = server.chat.chat.accounts.users

    async def statuses() -> list[int]:
        return [
            (await server.call("GET", "/v1/databases", token=token)).status,
            (await server.call("PUT", "/v1/databases/x", token=token)).status,
            (await server.call("GET", "/v1/databases/x/tables/t/rows/1", token=token)).status,
            (await server.call("GET", "/v1/tokens", token=token)).status,
            (await server.call("GET", "/v1/nowhere", token=token)).status,
            (await server.call("DELETE", "/v1/me", token=token)).status,
        ]

    assert await statuses() == [403, 403, 403, 403, 404, 405]
    await users.set_role("zoe", "read")
    assert await statuses() == [200, 403, 404, 403, 404, 405]
    await users.set_role("zoe", "admin")
    assert await statuses() == [200, 201, 404, 200, 404, 405]
    await users.set_disabled("zoe", is_disabled=True)
    assert await statuses() == [401] * 6


async def test_a_profile_is_changed_by_its_version(server: Server) -> None:
    token = (await server.user_in_the_space())["access_token"]

    async def patch(number: int, city: str, version: bytes | None) -> Call:
        headers = {} if version is None else {b"if-match": version}
        body = {"client_id": f"c{number}", "fields": {"city": city}}
        return await server.call("PATCH", "/v1/me/profile", body, token=token, headers=headers)

    first = await patch(1, "Oslo", b'"1"')
    assert json.loads(first.answer) == {"client_id": "c1", "version": 2, "duplicate": False}
    late = await patch(2, "Rome", b'"1"')
    assert refusal(late) == (412, "version_conflict", "conflict")
    current = json.loads(late.answer)["error"]["details"]["current"]
    assert current == {"version": 2, "display_name": "zoe", "fields": {"city": "Oslo"}}
    assert (await patch(3, "Rome", None)).status == 200
    for odd in (b'"x"', b"-1", b'W/"1"', b'"1', b"9" * 40, b"\xff"):
        if odd != b'"1':
            assert refusal(await patch(4, "Bonn", odd))[:2] == (400, "invalid_parameter")
    reused = await patch(1, "Bonn", b'"1"')
    assert refusal(reused)[:2] == (409, "client_id_reused")


async def test_a_profile_is_refused_what_is_no_text(server: Server) -> None:
    token = (await server.register())["access_token"]
    bodies: list[Any] = [
        {"client_id": "c"},
        {"client_id": "c", "fields": []},
        {"client_id": "c", "fields": {"city": 1}},
        {"client_id": "c", "fields": {"city": {"x": 1}}},
        {"client_id": "c", "fields": {"city": "x" * 4_001}},
        {"client_id": "", "fields": {"city": "x"}},
        {"client_id": "c", "fields": {"city": "x"}, "server_role": "admin"},
    ]
    for body in bodies:
        answer = await server.call("PATCH", "/v1/me/profile", body, token=token)
        assert refusal(answer)[:2] == (400, "invalid_body"), body
    for fields in ({"Bad Name": "x"}, {"display_name": None}, {}):
        body = {"client_id": "c", "fields": fields}
        answer = await server.call("PATCH", "/v1/me/profile", body, token=token)
        assert refusal(answer)[:2] == (400, "invalid_value")


async def test_a_picture_is_served_as_one_and_as_nothing_else(server: Server) -> None:
    zoe = await server.user_in_the_space("zoe")
    max_ = await server.user_in_the_space("max")
    eve = await server.register("evelyn")
    put = await server.call(
        "PUT",
        "/v1/me/avatar?client_id=c1",
        png(),
        token=zoe["access_token"],
        headers={b"content-type": b"text/html"},
    )
    tag = json.loads(put.answer)["avatar"]

    got = await server.call("GET", f"/v1/users/{zoe['user_id']}/avatar", token=max_["access_token"])
    headers = headers_of(got)
    assert (got.status, got.answer) == (200, png())
    assert headers[b"content-type"] == b"image/png"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"content-security-policy"] == b"default-src 'none'; sandbox"
    assert headers[b"etag"] == f'"{tag}"'.encode()

    for known, status in ((f'"{tag}"', 304), (f'W/"{tag}"', 304), ('"0"', 200), ("\x00" * 64, 200)):
        again = await server.call(
            "GET", "/v1/me/avatar", token=zoe["access_token"], headers={b"if-none-match": known.encode()}
        )
        assert again.status == status
        assert again.answer == (b"" if status == 304 else png())
    hidden = await server.call("GET", f"/v1/users/{zoe['user_id']}/avatar", token=eve["access_token"])
    assert refusal(hidden)[:2] == (404, "not_found")

    page = b"<!doctype html><script>alert(1)</script>"
    refused = await server.call(
        "PUT",
        "/v1/me/avatar?client_id=c2",
        page,
        token=zoe["access_token"],
        headers={b"content-type": b"image/png"},
    )
    assert refusal(refused)[:2] == (400, "invalid_value")
    nameless = await server.call("PUT", "/v1/me/avatar", png(), token=zoe["access_token"])
    assert refusal(nameless)[:2] == (400, "invalid_parameter")
    gone = await server.call("DELETE", "/v1/me/avatar?client_id=c3", token=zoe["access_token"])
    assert json.loads(gone.answer) == {"client_id": "c3", "duplicate": False}
    assert (await server.call("GET", "/v1/me/avatar", token=zoe["access_token"])).status == 404


async def test_users_are_found_by_name_and_by_what_changed(server: Server) -> None:
    zoe = await server.user_in_the_space("zoe")
    token, users = zoe["access_token"], "/v1/users"
    found = await server.call("GET", f"{users}?name=bob", token=token)
    assert [each["name"] for each in json.loads(found.answer)["users"]] == ["bob"]
    body = {"client_id": "c1", "fields": {"city": "Oslo"}}
    await server.call("PATCH", "/v1/me/profile", body, token=token)
    changed = json.loads((await server.call("GET", f"{users}?changed_after=0", token=token)).answer)
    assert [each["name"] for each in changed["users"]] == ["zoe"]
    after = f"{users}?changed_after={changed['position']}"
    assert json.loads((await server.call("GET", after, token=token)).answer)["users"] == []
    for query in ("", "?changed_after=x", "?changed_after=-1", "?changed_after=0&limit=0", "?limit=1"):
        answer = await server.call("GET", users + query, token=token)
        assert refusal(answer)[:2] == (400, "invalid_parameter"), query
    empty = await server.call("GET", f"{users}?name=", token=token)
    assert refusal(empty)[:2] == (400, "invalid_value")


async def test_a_profile_is_read_by_those_in_the_same_space(server: Server) -> None:
    zoe, eve = await server.user_in_the_space("zoe"), await server.register("evelyn")
    ann = f"/v1/users/{server.chat.ann}"
    seen = json.loads((await server.call("GET", ann, token=zoe["access_token"])).answer)
    assert seen == {
        "id": str(server.chat.ann),
        "name": "ann",
        "display_name": "Ann",
        "fields": {},
        "version": 1,
        "avatar": None,
    }
    assert refusal(await server.call("GET", ann, token=eve["access_token"]))[:2] == (404, "not_found")
    for odd in ("0", "x", "1'", "%2e%2e", "9" * 20):
        answer = await server.call("GET", f"/v1/users/{odd}", token=zoe["access_token"])
        assert refusal(answer)[:2] == (404, "not_found")

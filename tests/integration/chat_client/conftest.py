"""A running server, and for each test two users with a space and a room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest

from chat.domain.service import open_chat
from tests.support.chat_application import SETTINGS
from tests.support.chat_client import PASSWORD, House
from tests.support.chat_domain import CHEAP_ACCOUNTS
from tests.support.command_line import RunningServer, serving

if TYPE_CHECKING:
    from pathlib import Path

WHO = ("ann", "bob")

_numbers = count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server for all tests: each has a space and a room of its own, and nobody harms it."""
    environment = {
        "DATASERVER_REGISTRATION": "1",
        "DATASERVER_LOGIN_ATTEMPTS": "1000",
        "DATASERVER_SENDS_PER_S": "1000",
    }
    data_dir = tmp_path_factory.mktemp("server") / "data"
    data_dir.mkdir(mode=0o700)
    anyio.run(_make_users, data_dir / "chat.db")
    with serving(data_dir, environment=environment) as running:
        yield running


async def _make_users(file: Path) -> None:
    """Make Ann and Bob before the server does: a password keeps the cost it was made with, here next to none."""
    async with open_chat(file, SETTINGS, accounts=CHEAP_ACCOUNTS) as chat:
        for who in WHO:
            await chat.accounts.users.made(who, PASSWORD)


@dataclass
class Users:
    """Ann and Bob, who are logged in over plain HTTP too."""

    names: dict[str, str]
    ids: dict[str, str]
    http: dict[str, httpx2.Client]


@pytest.fixture(scope="session")
def users(server: RunningServer) -> Iterator[Users]:
    users = Users({}, {}, {})
    with ExitStack() as stack:
        for who in WHO:
            http = stack.enter_context(httpx2.Client(base_url=server.url, timeout=20))
            answer = http.post("/v1/auth/login", json={"name": who, "password": PASSWORD})
            issued = answer.raise_for_status().json()
            http.headers["authorization"] = f"Bearer {issued['access_token']}"
            users.names[who], users.ids[who], users.http[who] = who, issued["user_id"], http
        yield users


@pytest.fixture
def house(server: RunningServer, users: Users, tmp_path: Path) -> Iterator[House]:
    number = next(_numbers)
    ann_http, bob_http = users.http["ann"], users.http["bob"]
    made = ann_http.post("/v1/spaces", json={"client_id": f"s{number}", "name": "Home", "is_open": True})
    space = made.raise_for_status().json()["id"]
    made = ann_http.post(f"/v1/spaces/{space}/rooms", json={"client_id": f"r{number}", "name": "general"})
    room = made.raise_for_status().json()["id"]
    bob_http.post(f"/v1/spaces/{space}/join", json={"client_id": f"j{number}"}).raise_for_status()
    yield House(
        server.url, users.ids["ann"], users.ids["bob"], space, room, ann_http, bob_http, tmp_path, users.names
    )
    ended = ann_http.delete(f"/v1/spaces/{space}", params={"client_id": f"e{number}"})
    assert ended.status_code in {200, 404}, (
        ended.text
    )  # clients of later tests are not to follow it; a test may have ended it

"""A running server, and for each test two users with a space and a room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from chat.client.client import Client
from chat.client.settings import ClientSettings
from chat.queue.settings import QueueSettings
from tests.support.command_line import RunningServer, serving

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct horse battery"  # noqa: S105 - of users that live for one test
QUICK = ClientSettings(
    first_wait_s=0.02,
    most_wait_s=0.1,
    queue=QueueSettings(first_knock_s=0.05, max_knock_s=0.2, statistics_debounce_s=0.05),
)
_numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = {
        "DATASERVER_REGISTRATION": "1",
        "DATASERVER_LOGIN_ATTEMPTS": "1000",
        "DATASERVER_SENDS_PER_S": "1000",
    }
    data_dir = tmp_path_factory.mktemp("server") / "data"
    with serving(data_dir, environment=environment) as running:
        yield running


@dataclass
class House:
    """The users of one test, and what they share."""

    url: str
    ann: str
    bob: str
    space: str
    room: str
    ann_http: httpx2.Client
    bob_http: httpx2.Client
    path: Path
    names: dict[str, str]

    def client(self, who: str = "ann", store: str | None = None, **how: Any) -> Client:
        """Return a client of a user; the same store again is the same device."""
        return Client(
            how.pop("url", self.url),
            store=self.path / (store or who),
            settings=how.pop("settings", QUICK),
            **how,
        )

    @asynccontextmanager
    async def logged_in(
        self, who: str = "ann", store: str | None = None, **how: Any
    ) -> AsyncIterator[Client]:
        """Have a client that is logged in."""
        async with self.client(who, store, **how) as client:
            await client.login(self.names[who], PASSWORD)
            yield client

    def messages(self) -> list[dict[str, Any]]:
        """Return what the server has in the room."""
        answer = self.ann_http.get(f"/v1/rooms/{self.room}/messages", params={"limit": 500})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return found

    def contents(self) -> list[str | None]:
        """Return the texts in the room."""
        return [each["content"] for each in self.messages()]


@dataclass
class Users:
    """Ann and Bob, who are logged in over plain HTTP too."""

    names: dict[str, str]
    ids: dict[str, str]
    http: dict[str, httpx2.Client]


@pytest.fixture(scope="module")
def users(server: RunningServer) -> Iterator[Users]:
    users = Users({}, {}, {})
    with ExitStack() as stack:
        for who in ("ann", "bob"):
            http = stack.enter_context(httpx2.Client(base_url=server.url, timeout=20))
            answer = http.post("/v1/auth/register", json={"name": who, "password": PASSWORD})
            issued = answer.raise_for_status().json()
            http.headers["authorization"] = f"Bearer {issued['access_token']}"
            users.names[who], users.ids[who], users.http[who] = who, issued["user_id"], http
        yield users


@pytest.fixture
def house(server: RunningServer, users: Users, tmp_path: Path) -> House:
    number = next(_numbers)
    ann_http, bob_http = users.http["ann"], users.http["bob"]
    made = ann_http.post("/v1/spaces", json={"client_id": f"s{number}", "name": "Home", "is_open": True})
    space = made.raise_for_status().json()["id"]
    made = ann_http.post(f"/v1/spaces/{space}/rooms", json={"client_id": f"r{number}", "name": "general"})
    room = made.raise_for_status().json()["id"]
    bob_http.post(f"/v1/spaces/{space}/join", json={"client_id": f"j{number}"}).raise_for_status()
    return House(
        server.url, users.ids["ann"], users.ids["bob"], space, room, ann_http, bob_http, tmp_path, users.names
    )

"""A server's house for a test of the client: users, a space, a room; clients of theirs, and what they are told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import httpx2

from chat import Client, ClientSettings, QueueSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from chat import ClientEvent
    from chat.client.events import Heard

LIMIT_S = 30.0
NOWHERE = "http://127.0.0.1:9"
"""Where nobody listens."""
T = TypeVar("T", bound="ClientEvent")

PASSWORD = "correct horse battery"  # noqa: S105 - of users that live for one test
QUICK = ClientSettings(
    first_wait_s=0.02,
    most_wait_s=0.1,
    queue=QueueSettings(first_knock_s=0.05, max_knock_s=0.2, statistics_debounce_s=0.05),
)


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
            chance=lambda: 0.01,  # waits are drawn between nothing and a bound: this is nearly nothing
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


async def the_next(heard: Heard, kind: type[T], fits: Callable[[T], bool] = lambda _: True) -> T:
    """Return the next event of a kind that fits."""
    with anyio.fail_after(LIMIT_S):
        async for event in heard:
            if isinstance(event, kind) and fits(event):
                return event
    raise AssertionError("it ended")

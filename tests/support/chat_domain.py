"""A chat on a file with users, a space and a room, made by its own statements."""

from __future__ import annotations

import atexit
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import msgspec

from chat.domain.account_settings import AccountSettings, PasswordCost
from chat.domain.permissions import Rank
from chat.domain.sending import Ack, NewMessage, Order
from chat.domain.service import Chat, open_chat
from storage import Earlier, StorageSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from chat.domain.limits import ChatLimits
    from workers import Clock

CHEAP_ACCOUNTS = AccountSettings(password_cost=PasswordCost(memory_kib=64, passes=1, lanes=1))
"""Whose passwords take a millisecond."""


@dataclass
class ChatBench:
    """The chat, and who and what is in it."""

    chat: Chat
    ann: int = 0
    """Owner of the space."""
    bob: int = 0
    """A member."""
    eve: int = 0
    """In no space."""
    space: int = 0
    room: int = 0
    _count: int = field(default=0)

    def client_id(self) -> str:
        """Return a new client id."""
        self._count += 1
        return f"client-{self._count}"

    async def user(self, name: str) -> int:
        """Make a user."""
        made = await self.chat.tables.write_all(
            [
                ("new_stream", ("user", "e")),
                ("new_user", (Earlier(0, "id"), name, name.title(), "none", None, 0)),
            ]
        )
        user_id: int = made[0].rows[0][0]
        return user_id

    async def member(self, user_id: int, rank: Rank = Rank.MEMBER) -> None:
        """Put a user into the space."""
        await self.chat.tables.write("new_member", self.space, user_id, rank, 0)

    async def send(
        self,
        content: str = "hello",
        *,
        sender: int | None = None,
        client_id: str | None = None,
        room: int | None = None,
        reply_to: int | None = None,
        order: Order | None = None,
    ) -> Ack:
        """Send a message."""
        return await self.chat.send(
            NewMessage(
                room_id=room or self.room,
                sender_id=sender or self.ann,
                client_id=client_id or self.client_id(),
                content=content,
                reply_to=reply_to,
                order=order,
            )
        )

    async def messages(self, user_id: int | None = None) -> list[dict[str, Any]]:
        """Return the messages of the room."""
        page = await self.chat.messages.page(user_id or self.ann, self.room, after_seq=0, limit=500)
        found: list[dict[str, Any]] = msgspec.json.decode(page)["messages"]
        return found

    async def events(self, stream: int | None = None, user_id: int | None = None) -> list[dict[str, Any]]:
        """Return the events of the room, or another stream."""
        page = await self.chat.messages.events(
            user_id or self.ann, stream or self.room, after_seq=0, limit=500
        )
        found: list[dict[str, Any]] = msgspec.json.decode(page)["events"]
        return found


@asynccontextmanager
async def open_bench(
    path: Path,
    *,
    limits: ChatLimits | None = None,
    accounts: AccountSettings | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[ChatBench]:
    """Open a chat with Ann, who owns a space with a room, Bob, a member, and Eve, who is in no space.

    Without a clock of its own it is a copy of the first one, for less than half of what it takes to make it.
    """
    first = await _copy_of_first(path) if clock is None else None
    async with open_chat(
        path, _SETTINGS, limits=limits, accounts=accounts or CHEAP_ACCOUNTS, clock=clock
    ) as chat:
        yield await _filled(chat) if first is None else replace(first, chat=chat)


_SETTINGS = StorageSettings(kind="thread", worker_count=1)
_SPACES_AT_ONCE = 100
_first: list[tuple[Path, ChatBench]] = []


async def _copy_of_first(path: Path) -> ChatBench:
    if not _first:
        _first.append(await _made_once())
    file, bench = _first[0]
    await anyio.to_thread.run_sync(shutil.copy, file, path)
    return bench


async def _made_once() -> tuple[Path, ChatBench]:
    folder = await anyio.to_thread.run_sync(TemporaryDirectory)
    atexit.register(folder.cleanup)
    file = Path(folder.name) / "chat.db"
    async with open_chat(file, _SETTINGS, accounts=CHEAP_ACCOUNTS) as chat:
        bench = await _filled(chat)
    return file, bench


async def _filled(chat: Chat) -> ChatBench:
    bench = ChatBench(chat)
    bench.ann, bench.bob, bench.eve = [await bench.user(name) for name in ("ann", "bob", "eve")]
    space = await chat.spaces.create(bench.ann, bench.client_id(), name="Home")
    bench.space = int(space["id"])
    room = await chat.rooms.create(bench.ann, bench.client_id(), bench.space, name="general")
    bench.room = int(room["id"])
    await bench.member(bench.bob)
    return bench


async def into_spaces(bench: ChatBench, user_id: int, count: int) -> list[str]:
    """Put a user into so many spaces more, by few statements, and return their ids."""
    made: list[str] = []
    while len(made) < count:
        steps: list[tuple[str, tuple[Any, ...]]] = []
        for stream in range(0, 3 * min(count - len(made), _SPACES_AT_ONCE), 3):
            steps += [
                ("new_stream", ("space", "e")),
                ("new_space", (Earlier(stream, "id"), "space", '{"name":"one of many"}', 0, None, 0)),
                ("new_member", (Earlier(stream, "id"), user_id, Rank.MEMBER, 0)),
            ]
        made += [str(each.rows[0][0]) for each in (await bench.chat.tables.write_all(steps))[::3]]
    return made

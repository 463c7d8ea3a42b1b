"""What streams tell is taken over without a hole, whatever order or number it comes in; the server is a script."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import msgspec
import pytest

from chat import AnswerLost, ChatMessage, MessageChanged, TargetGone
from chat.client.cache import Cache
from chat.client.following import Position
from chat.client.logins import Login
from chat.client.streams import MAX_REFILLED_COUNT, PAGE_COUNT, StreamTaking
from chat.client.views import StreamEvent
from chat.domain.tables import Tables
from chat.statement_texts import load
from storage import StorageSettings
from storage import open as open_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chat import ClientEvent

ROOM, ME = "10", "1"


def event(seq: int, kind: str = "message.created", **more: Any) -> StreamEvent:
    message = {
        "id": str(100 + seq), "seq": seq, "client_id": f"c{seq}", "sender": "2", "content": f"text {seq}",
        "created_at_ms": seq,
    }  # fmt: skip
    return StreamEvent(**{"stream": ROOM, "seq": seq, "kind": kind, "actor": "2", "message": message, **more})


class ScriptedApi:
    """A server with one room of so many messages."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[str] = []
        self.fails = 0
        self.spaces = ["3"]
        self.login = Login(user_id=ME, name="ann", access_token="", refresh_token="")

    async def call(self, method: str, path: str, body: Any = None, *, params: Any = None) -> Any:
        assert (method, body) == ("GET", None)
        self.asked.append(path)
        if self.fails:
            self.fails -= 1
            raise AnswerLost("scripted")
        if path == "/v1/rooms":
            return {"rooms": [{"id": ROOM, "space": "3", "name": "r", "epoch": "e", "last_seq": self.count}]}
        if path.endswith("/events"):
            after, limit = int(params["after_seq"]), int(params["limit"])
            found = [event(seq) for seq in range(after + 1, min(after + limit, self.count) + 1)]
            return {"events": msgspec.to_builtins(found)}
        if path.endswith("/messages"):
            before, limit = int(params["before_seq"]), int(params["limit"])
            first = max(1, before - limit)
            found = [event(seq) for seq in range(first, min(before - 1, self.count) + 1)]
            return {"messages": [each.message for each in found]}
        if path == "/v1/spaces":
            return {"spaces": [{"id": each} for each in self.spaces if each > params.get("after", "")]}
        raise TargetGone("no such thing")


class Bench:
    def __init__(self, api: ScriptedApi, cache: Cache) -> None:
        self.api = api
        self.cache = cache
        self.told: list[ClientEvent] = []
        self.own: list[StreamEvent] = []
        self.streams = StreamTaking(api, cache, tell=self.told.append, on_own=self.own.append)  # type: ignore[arg-type]  # a script in its place

    async def begin(self, seq: int) -> None:
        """Know the room up to a seq."""
        await self.streams.wanted()
        await self.streams.subscribed({ROOM: {"epoch": "e", "last_seq": seq, "recovered": False}})

    async def seqs(self) -> list[int]:
        """Return the messages that are kept."""
        return [each.seq for each in await self.cache.messages(ROOM, before_seq=2**40, limit=100_000)]

    def told_seqs(self) -> list[int]:
        return [each.message.seq for each in self.told if isinstance(each, MessageChanged)]


@asynccontextmanager
async def bench(path: Path, count: int) -> AsyncIterator[Bench]:
    statements = await anyio.to_thread.run_sync(load, "chat.client.statements")
    settings = StorageSettings(kind="thread", worker_count=1)
    async with open_database(path / "cache.db", settings, migrations="chat.client.migrations") as database:
        yield Bench(ScriptedApi(count), Cache(Tables(database, statements)))


async def test_events_come_in_twice_or_out_of_reach_and_are_kept_once(tmp_path: Path) -> None:
    async with bench(tmp_path, 3) as room:
        await room.begin(3)
        room.api.count = 9
        for batch in ([4, 5], [5, 4, 6], [9], [7, 8, 9]):
            await room.streams.take(ROOM, [event(seq) for seq in batch])
        assert await room.seqs() == [*range(1, 10)]
        assert room.told_seqs() == [*range(4, 10)]
        assert room.cache.positions[ROOM] == Position("e", 9)


async def test_a_gap_that_could_not_be_read_is_still_a_gap_the_next_time(tmp_path: Path) -> None:
    async with bench(tmp_path, 1) as room:
        await room.begin(1)
        room.api.count, room.api.fails = 5, 1
        with pytest.raises(AnswerLost):
            await room.streams.take(ROOM, [event(5)])
        assert room.cache.positions[ROOM] == Position("e", 1)
        await room.streams.take(ROOM, [event(5)])
        assert await room.seqs() == [1, 2, 3, 4, 5]


async def test_what_was_missed_is_read_page_by_page(tmp_path: Path) -> None:
    async with bench(tmp_path, 1) as room:
        await room.begin(1)
        room.api.count = 2 * PAGE_COUNT + 10
        last = room.api.count
        await room.streams.subscribed({ROOM: {"epoch": "e", "last_seq": last, "recovered": False}})
        assert len(room.told_seqs()) == last - 1
        assert room.api.asked.count(f"/v1/rooms/{ROOM}/events") == 3


async def test_who_missed_too_much_begins_with_the_newest_page_and_has_no_hole(tmp_path: Path) -> None:
    async with bench(tmp_path, 50) as room:
        await room.begin(50)
        room.api.count = MAX_REFILLED_COUNT + 51
        await room.streams.subscribed({ROOM: {"epoch": "e", "last_seq": room.api.count, "recovered": False}})
        kept = await room.seqs()
        assert kept == [*range(room.api.count - 99, room.api.count + 1)]


@pytest.mark.parametrize("nonsense", [None, [], {}, {"rooms": 7}, {"rooms": [{"id": 1}]}], ids=str)
async def test_an_answer_that_is_none_of_the_chat_counts_as_lost(tmp_path: Path, nonsense: Any) -> None:
    async with bench(tmp_path, 1) as room:
        await room.begin(1)

        async def portal(*_: Any, **__: Any) -> Any:
            return nonsense

        room.api.call = portal  # type: ignore[method-assign]  # what stands between a client and its server
        with pytest.raises(AnswerLost):
            await room.streams.wanted()
        with pytest.raises(AnswerLost):
            await room.streams.take(ROOM, [event(5)])
        with pytest.raises(AnswerLost):
            await room.streams.backlog(ROOM, 5, 3)
        assert await room.seqs() == [1]


async def test_another_epoch_begins_anew(tmp_path: Path) -> None:
    async with bench(tmp_path, 5) as room:
        await room.begin(5)
        room.api.count = 2
        await room.streams.subscribed({ROOM: {"epoch": "f", "last_seq": 2, "recovered": True}})
        assert await room.seqs() == [1, 2]
        assert room.cache.positions[ROOM] == Position("f", 2)


async def test_what_the_user_sends_while_a_room_is_read_is_not_taken_for_old(tmp_path: Path) -> None:
    async with bench(tmp_path, 2) as room:
        sent = msgspec.convert(event(3).message, ChatMessage)
        await room.cache.save_messages(ROOM, [sent])
        await room.begin(2)
        assert await room.seqs() == [1, 2, 3]
        await room.streams.take(ROOM, [event(3)])
        assert room.told_seqs() == [3]


async def test_no_position_is_kept_without_what_it_stands_for(tmp_path: Path) -> None:
    async with bench(tmp_path, 5) as room:
        await room.streams.wanted()
        room.api.fails = 1
        with pytest.raises(AnswerLost):
            await room.streams.subscribed({ROOM: {"epoch": "e", "last_seq": 5, "recovered": False}})
        assert ROOM not in room.cache.positions


async def test_a_stream_that_may_not_be_seen_any_more_is_left(tmp_path: Path) -> None:
    async with bench(tmp_path, 2) as room:
        await room.begin(2)
        await room.streams.subscribed({ROOM: {"error": {"code": "not_found", "class": "permanent"}}})
        assert ROOM not in room.cache.positions
        assert await room.streams.take(ROOM, [event(3)]) is False
        assert await room.seqs() == [1, 2]
        assert room.streams.since([ROOM]) == {ROOM: None}


async def test_the_users_own_stream_and_that_of_a_space_are_told_as_such(tmp_path: Path) -> None:
    async with bench(tmp_path, 1) as room:
        await room.streams.wanted()
        for stream in (ME, "3"):
            await room.streams.subscribed({stream: {"epoch": "e", "last_seq": 0, "recovered": False}})
        joined = event(1, "space.joined", stream=ME, message=None, body={"space": "77"})
        assert await room.streams.take(ME, [joined]) is True
        muted = event(1, "member.muted", stream="3", message=None, body={"user": "2"})
        assert await room.streams.take("3", [muted]) is False
        assert room.own == [joined]
        room.api.spaces = ["3", "77"]
        assert await room.streams.wanted() == {ME, ROOM, "3", "77"}
        assert [each.name for each in room.told] == ["chat.user.changed", "chat.space.changed"]
        assert (await room.cache.space("3")).members["2"].is_muted


async def test_old_events_are_let_go_and_the_messages_stay(tmp_path: Path) -> None:
    async with bench(tmp_path, 1) as room:
        await room.begin(1)
        room.api.count = 1_250
        await room.streams.subscribed({ROOM: {"epoch": "e", "last_seq": 1_250, "recovered": False}})
        kept = [each.seq for each in await room.cache.events(ROOM, after_seq=0, limit=5_000)]
        assert kept == [
            *range(2, 1_251)
        ]  # those of a page more than are kept go with the next page that crosses a bound
        assert len(await room.seqs()) == 1_250

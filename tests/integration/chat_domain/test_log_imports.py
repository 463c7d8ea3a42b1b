"""Logs are brought into rooms as they are, once, whatever else happens there meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.log_imports import MAX_LINES, LogLine, user_name
from chat.domain.refusals import Gone, InvalidValue, NotFound
from chat.domain.search import SearchQuery
from tests.support.chat_domain import open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench

HOSTILE = "a\x00b \ufeff\u3000\u200b\x02bold\x02 '; DROP TABLE message; -- <script> \U0001f600 \r\n"


def line(number: int, text: str, *, author: str = "ada", room: str = "#one", **more: Any) -> LogLine:
    return LogLine(number=number, room=room, author=author, at_ms=1_000 + number, text=text, **more)


async def stored(bench: ChatBench, *lines: LogLine) -> tuple[int, int]:
    done = await bench.chat.log_imports.store("irc", lines)
    return done.stored_count, done.known_count


async def opened(bench: ChatBench) -> int:
    return await bench.chat.log_imports.open("irc", name="Log", owner="ann")


async def rooms_of(bench: ChatBench, space_id: int) -> dict[str, int]:
    page = msgspec.json.decode(await bench.chat.rooms.of_space(bench.ann, space_id))
    return {each["name"]: int(each["id"]) for each in page["rooms"]}


async def told(bench: ChatBench, room: int) -> list[tuple[int, str, Any]]:
    return [
        (
            event["seq"],
            event["kind"],
            event["body"]["text"] if event["message"] is None else event["message"]["content"],
        )
        for event in await bench.events(room)
    ]


async def test_texts_and_order_are_as_in_the_log_and_answers_are_linked(bench: ChatBench) -> None:
    space = await opened(bench)
    lines = [
        line(0, HOSTILE),
        line(1, "", author="bob", answered=0),
        line(7, "elsewhere", room="#two", author=""),
        line(8, "again", answered=1),
        line(9, "to nothing", answered=7),
    ]
    assert await stored(bench, *lines) == (5, 0)

    rooms = await rooms_of(bench, space)
    page = await bench.chat.messages.page(bench.ann, rooms["#one"], after_seq=0, limit=10)
    found = msgspec.json.decode(page)["messages"]
    assert [(each["seq"], each["content"], each["created_at_ms"]) for each in found] == [
        (1, HOSTILE, 1_000),
        (2, "", 1_001),
        (3, "again", 1_008),
        (4, "to nothing", 1_009),
    ]
    ids = [each["id"] for each in found]
    assert [each["reply_to"] for each in found] == [None, ids[0], ids[1], None]
    assert [each["sender_name"] for each in found] == ["ada@irc", "bob@irc", "ada@irc", "ada@irc"]
    assert [each["client_id"] for each in found] == ["log:irc:0", "log:irc:1", "log:irc:8", "log:irc:9"]
    assert len(await told(bench, rooms["#two"])) == 1


async def test_a_second_run_adds_only_what_is_new(bench: ChatBench) -> None:
    space = await opened(bench)
    assert await opened(bench) == space
    first = [line(n, f"{n}") for n in range(3)]
    assert await stored(bench, *first) == (3, 0)
    assert await stored(bench, *first, line(3, "3", author="bob")) == (1, 3)
    assert await stored(bench) == (0, 0)
    room = (await rooms_of(bench, space))["#one"]
    assert [text for _, _, text in await told(bench, room)] == ["0", "1", "2", "3"]


async def test_lines_that_are_new_among_known_ones_come_behind_them_and_answer_them(bench: ChatBench) -> None:
    space = await opened(bench)
    await stored(bench, line(1, "one"), line(0, "", event="join"))
    lines = [
        line(0, "none", author="bob"),
        line(1, "one"),
        line(0, "", event="join"),
        line(2, "to one", answered=1),
        line(3, "to two", answered=2),
        line(1, "", event="part"),
        line(3, "to two", answered=2),
        line(4, "to what comes later", answered=5),
        line(5, "later"),
    ]
    assert await stored(bench, *lines) == (6, 3)
    assert await stored(bench, *lines) == (0, 9)

    room = (await rooms_of(bench, space))["#one"]
    assert await told(bench, room) == [
        (1, "message.created", "one"),
        (2, "log.joined", ""),
        (3, "message.created", "none"),
        (4, "message.created", "to one"),
        (5, "message.created", "to two"),
        (6, "log.left", ""),
        (7, "message.created", "to what comes later"),
        (8, "message.created", "later"),
    ]
    found = [event["message"] for event in await bench.events(room) if event["message"] is not None]
    ids = {message["content"]: message["id"] for message in found}
    assert [message["reply_to"] for message in found] == [None, None, ids["one"], ids["to one"], None, None]


async def test_two_imports_of_one_log_at_once_bring_each_line_in_once(bench: ChatBench) -> None:
    space = await opened(bench)
    lines = [line(n, f"{n}") for n in range(300)]
    counts: list[tuple[int, int]] = []

    async def bring_in() -> None:
        counts.append(await stored(bench, *lines))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(bring_in)
    assert sorted(counts) == [(0, 300), (0, 300), (300, 0)]
    room = (await rooms_of(bench, space))["#one"]
    assert [text for _, _, text in await told(bench, room)] == [f"{n}" for n in range(300)]


async def test_who_came_and_went_is_told_where_it_happened(bench: ChatBench) -> None:
    space = await opened(bench)
    lines = [
        line(0, "one"),
        line(0, "", event="join", author="bob"),
        line(1, "two", author="bob"),
        line(1, "bye", event="part", author="bob"),
        line(2, "lovelace", event="nick"),
    ]
    assert await stored(bench, *lines) == (5, 0)
    assert await stored(bench, *lines) == (0, 5)
    room = (await rooms_of(bench, space))["#one"]
    assert await told(bench, room) == [
        (1, "message.created", "one"),
        (2, "log.joined", ""),
        (3, "message.created", "two"),
        (4, "log.left", "bye"),
        (5, "log.renamed", "lovelace"),
    ]


async def test_the_feed_tells_imported_lines_in_the_order_of_their_room(bench: ChatBench) -> None:
    space = await opened(bench)
    await stored(bench, line(0, "one"), line(0, "", event="join"), line(1, "two"), line(1, "", event="part"))
    room = (await rooms_of(bench, space))["#one"]
    fed = await bench.chat.tables.all("feed", 0, 100)
    assert [row[2] for row in fed if row[1] == room] == [1, 2, 3, 4]


async def test_a_room_of_a_log_goes_on_as_any_other(bench: ChatBench) -> None:
    space = await opened(bench)
    await stored(bench, line(0, "tea time"))
    room = (await rooms_of(bench, space))["#one"]
    ack = await bench.send("and now?", room=room)
    assert ack.seq == 2
    assert await stored(bench, line(1, "later")) == (1, 0)
    assert [seq for seq, _, _ in await told(bench, room)] == [1, 2, 3]
    hits = msgspec.json.decode(await bench.chat.search.find(bench.ann, SearchQuery(query="tea")))["hits"]
    assert [each["message"]["content"] for each in hits] == ["tea time"]


async def test_nobody_else_sees_a_log_and_nobody_logs_in_as_its_authors(bench: ChatBench) -> None:
    space = await opened(bench)
    await stored(bench, line(0, "secret"))
    with pytest.raises(NotFound):
        await bench.chat.rooms.of_space(bench.eve, space)
    row = await bench.chat.tables.one("user_named", "ada@irc", "ada@irc")
    assert row is not None
    assert row[2] == "!"


async def test_the_same_author_of_another_log_is_somebody_else(bench: ChatBench) -> None:
    await opened(bench)
    await bench.chat.log_imports.open("slack", name="Other", is_open=True)
    await stored(bench, line(0, "one"))
    await bench.chat.log_imports.store("slack", [line(0, "one")])
    found = [await bench.chat.tables.one("user_named", name, name) for name in ("ada@irc", "ada@slack")]
    assert len({row[0] for row in found if row is not None}) == 2


def test_names_of_authors_fit_and_differ() -> None:
    authors = ["", "nobody", "x" * 64, "x" * 65, "x" * 64 + "y", "ada"]
    names = [user_name(author, "s" * 40) for author in authors]
    assert len(set(names)) == len(authors)
    assert max(map(len, names)) <= 64
    assert user_name("ada", "irc") == "ada@irc"


async def test_a_log_that_was_not_opened_or_whose_space_is_gone_takes_nothing(bench: ChatBench) -> None:
    with pytest.raises(NotFound, match="no log"):
        await stored(bench, line(0, "one"))
    space = await opened(bench)
    await bench.chat.spaces.delete(bench.ann, "d", space)
    with pytest.raises(Gone):
        await stored(bench, line(0, "one"))
    with pytest.raises(Gone):
        await opened(bench)


@pytest.mark.parametrize("source", ["", "a b", "x" * 41, "ä", "a:b"])
async def test_what_can_be_no_name_of_a_log_is_refused(bench: ChatBench, source: str) -> None:
    with pytest.raises(InvalidValue, match="log's name"):
        await bench.chat.log_imports.open(source, name="Log")


async def test_an_owner_has_to_be_there(bench: ChatBench) -> None:
    with pytest.raises(NotFound, match="no user"):
        await bench.chat.log_imports.open("irc", name="Log", owner="zoe")


async def test_a_line_that_is_too_long_stops_its_batch(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "chat.db", limits=ChatLimits(max_content_bytes=3)) as bench:
        space = await opened(bench)
        with pytest.raises(InvalidValue, match="line 1 has 4 bytes"):
            await stored(bench, line(0, "one"), line(1, "four"))
        assert await rooms_of(bench, space) == {}
        with pytest.raises(InvalidValue, match="lines"):
            await stored(bench, *[line(0, "x")] * (MAX_LINES + 1))

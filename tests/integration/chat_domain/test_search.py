"""Words are found in the rooms that a user may read, and in no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.refusals import InvalidValue
from chat.domain.search import MARKS, SearchQuery
from tests.support.chat_domain import open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench


async def hits(
    bench: ChatBench, query: str, user_id: int | None = None, **where: Any
) -> list[dict[str, Any]]:
    page = await bench.chat.search.find(user_id or bench.ann, SearchQuery(query=query, **where))
    found: list[dict[str, Any]] = msgspec.json.decode(page)["hits"]
    return found


async def contents(bench: ChatBench, query: str, **where: Any) -> list[str]:
    return [each["message"]["content"] for each in await hits(bench, query, **where)]


async def test_the_best_comes_first_and_shows_where_the_word_is(bench: ChatBench) -> None:
    await bench.send("tea " + "and so on " * 20)
    await bench.send("Tea, tea!")
    await bench.send("coffee")
    best, second = await hits(bench, "TEA")
    begin, end = MARKS
    assert best["snippet"] == f"{begin}Tea{end}, {begin}tea{end}!"
    assert (best["room"], best["score"] > second["score"]) == (str(bench.room), True)


async def test_nothing_is_found_in_rooms_that_the_user_may_not_read(bench: ChatBench) -> None:
    await bench.send("secret")
    assert await hits(bench, "secret", bench.eve) == []
    direct = await bench.chat.direct.open(bench.bob, "d", bench.eve)
    await bench.send("secret too", sender=bench.bob, room=int(direct["room_id"]))
    assert [each["message"]["content"] for each in await hits(bench, "secret", bench.eve)] == ["secret too"]
    await bench.chat.moderation.kick(bench.ann, "k", bench.space, bench.bob)
    assert [each["message"]["content"] for each in await hits(bench, "secret", bench.bob)] == ["secret too"]


async def test_what_others_may_read_does_not_take_the_place_of_what_the_user_may(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "chat.db", limits=ChatLimits(max_ranked_hits=2)) as bench:
        direct = await bench.chat.direct.open(bench.bob, "d", bench.eve)
        await bench.send("word of Eve", sender=bench.bob, room=int(direct["room_id"]))
        for n in range(5):
            await bench.send(f"word {n}")
        assert len(await hits(bench, "word", bench.eve)) == 1


async def test_an_edited_message_is_found_by_what_it_says_now_and_a_deleted_one_not(bench: ChatBench) -> None:
    sent, other = await bench.send("before"), await bench.send("before")
    await bench.chat.messages.edit(bench.ann, "e", sent.id, "after")
    await bench.chat.messages.delete(bench.ann, "d", other.id)
    assert await contents(bench, "before") == []
    assert await contents(bench, "after") == ["after"]


async def test_it_is_narrowed_to_a_room_a_space_and_a_sender(bench: ChatBench) -> None:
    tea = int((await bench.chat.rooms.create(bench.ann, "r", bench.space, name="tea"))["id"])
    direct = int((await bench.chat.direct.open(bench.ann, "d", bench.eve))["room_id"])
    await bench.send("cup one", room=tea)
    await bench.send("cup two", sender=bench.bob)
    await bench.send("cup three", room=direct)
    assert await contents(bench, "cup", room_id=tea) == ["cup one"]
    assert sorted(await contents(bench, "cup", space_id=bench.space)) == ["cup one", "cup two"]
    assert await contents(bench, "cup", sender_id=bench.bob) == ["cup two"]


@pytest.mark.parametrize("order", ["best", "newest"])
async def test_pages_hold_every_match_once(bench: ChatBench, order: Any) -> None:
    sent = [f"word {n}" for n in range(7)]
    for content in sent:
        await bench.send(content)
    found: list[str] = []
    before = None
    while page := await hits(bench, "word", order=order, skip=len(found), before=before, limit=3):
        found += [each["message"]["content"] for each in page]
        before = int(page[-1]["message"]["id"])
    assert found == sent[::-1] if order == "newest" else sorted(found) == sent


@pytest.mark.parametrize(
    "query", ['"open', "a AND", "(", "nocolumn: x", "NEAR(", "", "x" * 1001, "*reads", "a\0b", "- ; DROP"]
)
async def test_a_query_that_is_not_understood_is_answered_with_what_to_do(
    bench: ChatBench, query: str
) -> None:
    await bench.send("open")
    with pytest.raises(InvalidValue) as refused:
        await hits(bench, query)
    assert refused.value.details["field"] == "q"


async def test_the_syntax_is_that_of_fts5(bench: ChatBench) -> None:
    for content in ("red apple", "green apple", "red pear", "café au lait"):
        await bench.send(content)
    assert await contents(bench, "red apple") == ["red apple"]
    assert sorted(await contents(bench, "apple NOT red")) == ["green apple"]
    assert await contents(bench, '"apple red"') == []
    assert await contents(bench, "cafe") == ["café au lait"]
    assert sorted(await contents(bench, "gre* OR pear")) == ["green apple", "red pear"]


async def test_hostile_texts_are_found_as_they_were_written(bench: ChatBench) -> None:
    hostile = "<script>alert('x')</script>'; DROP TABLE message; -- \x00 \x02bold\x02 \u202eright"
    await bench.send(hostile)
    assert await contents(bench, "script") == [hostile]

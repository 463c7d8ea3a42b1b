"""What is done to messages that are there: each change once, told with the message as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.permissions import Rank
from chat.domain.refusals import Gone, InvalidValue, LimitReached, NotFound, NotPermitted
from chat.domain.sending import NewMessage
from tests.support.chat_domain import open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench


async def edits_of(bench: ChatBench, message: str) -> list[tuple[int, str]]:
    page = await bench.chat.messages.edits(bench.bob, message, after=0, limit=100)
    return [(each["number"], each["content"]) for each in msgspec.json.decode(page)["edits"]]


async def mentions_of(bench: ChatBench, message: str) -> list[str] | None:
    found: list[str] | None = next(
        each["mentions"] for each in await bench.messages() if each["id"] == message
    )
    return found


async def test_what_an_edited_message_said_before_is_kept_in_order(bench: ChatBench) -> None:
    sent = await bench.send("one")
    for n, content in enumerate(("two", "two", "three")):
        await bench.chat.messages.edit(bench.ann, f"e{n}", sent.id, content)
    assert await edits_of(bench, sent.id) == [(1, "one"), (2, "two")]
    assert [event["kind"] for event in await bench.events()] == [
        "message.created",
        "message.edited",
        "message.edited",
    ]
    assert (await bench.messages())[0]["content"] == "three"


async def test_a_deleted_message_leaves_its_place_and_nothing_else(bench: ChatBench) -> None:
    messages = bench.chat.messages
    sent = await bench.send("one")
    await messages.edit(bench.ann, "e", sent.id, "two")
    await messages.react(bench.bob, "r", sent.id, "+1", is_on=True)
    await messages.pin(bench.ann, "p", sent.id, is_on=True)
    await messages.delete(bench.ann, "d", sent.id)
    await messages.delete(bench.ann, "d2", sent.id)

    (found,) = await bench.messages()
    assert (found["content"], found["reactions"], found["is_pinned"], found["seq"]) == (None, [], False, 1)
    assert await edits_of(bench, sent.id) == []
    for again in (
        messages.edit(bench.ann, "e2", sent.id, "three"),
        messages.react(bench.bob, "r2", sent.id, "+1", is_on=True),
        messages.pin(bench.ann, "p2", sent.id, is_on=True),
    ):
        with pytest.raises(Gone):
            await again
    await messages.react(bench.bob, "r3", sent.id, "+1", is_on=False)


async def test_of_the_same_reaction_many_times_at_once_there_is_one_and_one_event(bench: ChatBench) -> None:
    sent = await bench.send()

    async def react(n: int) -> None:
        await bench.chat.messages.react(bench.bob, f"r{n}", sent.id, "+1", is_on=True)

    async with anyio.create_task_group() as tasks:
        for n in range(10):
            tasks.start_soon(react, n)
    assert (await bench.messages())[0]["reactions"] == [{"emoji": "+1", "user": str(bench.bob)}]
    assert [event["kind"] for event in await bench.events()] == ["message.created", "reaction.added"]


async def test_a_message_is_named_by_its_senders_client_id_and_by_nobody_elses(bench: ChatBench) -> None:
    sent = await bench.send("one", client_id="mine")
    done = await bench.chat.messages.edit(bench.ann, "e", "mine", "two")
    assert done["message_id"] == sent.id
    with pytest.raises(NotFound):
        await bench.chat.messages.react(bench.bob, "r", "mine", "+1", is_on=True)


async def test_only_its_sender_edits_a_message_even_below_an_owner(bench: ChatBench) -> None:
    sent = await bench.send("bob's", sender=bench.bob)
    with pytest.raises(NotPermitted, match="only its sender"):
        await bench.chat.messages.edit(bench.ann, "e", sent.id, "ann's")


async def test_there_are_only_so_many_edits_emoji_and_pins(tmp_path: Path) -> None:
    limits = ChatLimits(max_edits_per_message=1, max_emoji_per_message=1, max_pins_per_room=1)
    async with open_bench(tmp_path / "chat.db", limits=limits) as bench:
        messages = bench.chat.messages
        sent, other = await bench.send("one"), await bench.send()
        await messages.edit(bench.ann, "e", sent.id, "two")
        with pytest.raises(LimitReached, match="1 times"):
            await messages.edit(bench.ann, "e2", sent.id, "three")
        await messages.edit(bench.ann, "e3", sent.id, "two")
        await messages.react(bench.ann, "r", sent.id, "+1", is_on=True)
        await messages.react(bench.bob, "r", sent.id, "+1", is_on=True)
        with pytest.raises(LimitReached, match="1 different"):
            await messages.react(bench.ann, "r2", sent.id, "-1", is_on=True)
        await messages.pin(bench.ann, "p", sent.id, is_on=True)
        with pytest.raises(LimitReached, match="1 pinned"):
            await messages.pin(bench.ann, "p2", other.id, is_on=True)


@pytest.mark.parametrize("emoji", ["", "x" * 65])
async def test_what_is_no_emoji_is_refused(bench: ChatBench, emoji: str) -> None:
    sent = await bench.send()
    with pytest.raises(InvalidValue, match="emoji"):
        await bench.chat.messages.react(bench.ann, "r", sent.id, emoji, is_on=True)


async def test_the_pins_of_a_room_come_in_pages(bench: ChatBench) -> None:
    ids = [(await bench.send(f"{n}")).id for n in range(3)]
    for n, each in enumerate(reversed(ids)):
        await bench.chat.messages.pin(bench.ann, f"p{n}", each, is_on=True)
    page = msgspec.json.decode(await bench.chat.messages.pins(bench.bob, bench.room, after=0, limit=2))
    assert [each["message"]["id"] for each in page["pins"]] == ids[:2]
    rest = await bench.chat.messages.pins(bench.bob, bench.room, after=int(ids[1]), limit=2)
    assert [each["message"]["id"] for each in msgspec.json.decode(rest)["pins"]] == ids[2:]


async def test_edits_are_for_who_may_read_the_message(bench: ChatBench) -> None:
    sent = await bench.send("one")
    with pytest.raises(NotFound):
        await bench.chat.messages.edits(bench.eve, sent.id, after=0, limit=1)


async def test_members_are_mentioned_by_text_or_by_id_and_others_are_not(bench: ChatBench) -> None:
    ann, bob, eve = bench.ann, bench.bob, bench.eve
    both = await bench.chat.send(
        NewMessage(
            room_id=bench.room,
            sender_id=ann,
            client_id="m",
            content=f"<@{bob}> and <@{eve}> and <@U123> and <@{bob}>",
            mentions=(ann, eve),
        )
    )
    assert sorted(await mentions_of(bench, both.id) or []) == sorted([str(ann), str(bob)])
    nobody = await bench.send(f"<@{eve}> <@> <@0> <@{2**70}>")
    assert await mentions_of(bench, nobody.id) is None

    await bench.chat.messages.edit(bench.ann, "e", both.id, f"only <@{bob}>")
    assert await mentions_of(bench, both.id) == [str(bob)]
    await bench.chat.messages.edit(bench.ann, "e2", both.id, "nobody")
    assert await mentions_of(bench, both.id) is None


async def test_a_message_mentions_only_so_many(bench: ChatBench) -> None:
    many = " ".join(f"<@{n}>" for n in range(1, 52))
    with pytest.raises(LimitReached, match="50 users"):
        await bench.send(many)
    sent = await bench.send("few")
    with pytest.raises(LimitReached, match="50 users"):
        await bench.chat.messages.edit(bench.ann, "e", sent.id, many)


async def test_what_a_refusal_names_may_go_before_it_is_told_and_then_the_change_is_done(
    bench: ChatBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = await bench.send()
    asked = bench.chat.tables.one

    async def promoted_meanwhile(name: str, *params: Any) -> tuple[Any, ...] | None:
        if name == "message_named":
            await bench.chat.members.change_role(bench.ann, "c", bench.space, bench.bob, Rank.MODERATOR)
        return await asked(name, *params)

    monkeypatch.setattr(bench.chat.tables, "one", promoted_meanwhile)
    await bench.chat.messages.pin(bench.bob, "p", sent.id, is_on=True)
    assert (await bench.messages())[0]["is_pinned"]

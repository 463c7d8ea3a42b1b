"""A conversation of two is one, whoever asks for it, and stays of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.permissions import Rank
from chat.domain.refusals import InvalidValue, LimitReached, NotFound, NotPermitted
from chat.domain.space_settings import SpaceFields
from tests.support.chat_domain import open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench


async def test_both_get_the_same_conversation_whoever_opens_it(bench: ChatBench) -> None:
    first = await bench.chat.direct.open(bench.ann, "a", bench.eve)
    second = await bench.chat.direct.open(bench.eve, "b", bench.ann)
    again = await bench.chat.direct.open(bench.ann, "a", bench.eve)
    assert (second["space_id"], second["room_id"]) == (first["space_id"], first["room_id"])
    assert again == {**first, "duplicate": True}

    room = int(first["room_id"])
    await bench.send("psst", sender=bench.eve, room=room)
    await bench.send("yes?", sender=bench.ann, room=room)
    assert [event["message"]["content"] for event in await bench.events(room)] == ["psst", "yes?"]
    for user_id in (bench.ann, bench.eve):
        assert ("space.joined", {"space": first["space_id"]}) in [
            (event["kind"], event["body"]) for event in await bench.events(user_id, user_id)
        ]


async def test_opened_by_both_at_once_it_is_one(bench: ChatBench) -> None:
    found: list[dict[str, Any]] = []

    async def open_it(user_id: int, other_id: int, client_id: str) -> None:
        found.append(await bench.chat.direct.open(user_id, client_id, other_id))

    async with anyio.create_task_group() as tasks:
        for n in range(6):
            pair = (bench.ann, bench.eve) if n % 2 else (bench.eve, bench.ann)
            tasks.start_soon(open_it, *pair, f"{n}")
    assert len({(each["space_id"], each["room_id"]) for each in found}) == 1


async def test_it_is_listed_with_who_it_is_with(bench: ChatBench) -> None:
    await bench.chat.direct.open(bench.ann, "a", bench.eve)
    page = msgspec.json.decode(await bench.chat.spaces.page(bench.eve, after=0, limit=9))
    (listed,) = page["spaces"]
    assert (listed["kind"], listed["with"]) == ("direct", {"user": str(bench.ann), "name": "ann"})


async def test_nobody_else_comes_in_neither_goes_and_nothing_is_changed(bench: ChatBench) -> None:
    chat = bench.chat
    opened = await chat.direct.open(bench.ann, "a", bench.bob)
    space = int(opened["space_id"])
    refused = [
        chat.members.leave(bench.ann, "b", space),
        chat.members.change_role(bench.ann, "c", space, bench.bob, Rank.OWNER),
        chat.moderation.kick(bench.ann, "d", space, bench.bob),
        chat.moderation.mute(bench.ann, "e", space, bench.bob),
        chat.spaces.update(bench.ann, "f", space, SpaceFields(name="Us")),
        chat.spaces.open_to_all(bench.ann, "g", space, is_open=True),
        chat.spaces.delete(bench.ann, "h", space),
        chat.rooms.create(bench.ann, "i", space, name="second"),
        chat.groups.create(bench.ann, "j", space, name="group"),
        chat.invites.create(bench.ann, "k", space),
    ]
    for each in refused:
        with pytest.raises(NotPermitted, match="of two"):
            await each
    with pytest.raises(NotFound):
        await chat.members.join(bench.eve, "l", space)


async def test_both_may_pin_and_neither_deletes_what_the_other_wrote(bench: ChatBench) -> None:
    messages = bench.chat.messages
    room = int((await bench.chat.direct.open(bench.ann, "a", bench.bob))["room_id"])
    sent = await bench.send("mine", sender=bench.ann, room=room)
    await messages.pin(bench.bob, "p", sent.id, is_on=True)
    (pinned,) = msgspec.json.decode(await messages.pins(bench.ann, room, after=0, limit=5))["pins"]
    assert (pinned["message"]["content"], pinned["pinned_by"]) == ("mine", str(bench.bob))
    await messages.pin(bench.ann, "q", sent.id, is_on=False)
    with pytest.raises(NotPermitted):
        await messages.delete(bench.bob, "d", sent.id)


async def test_it_is_with_somebody_else_who_is_there(bench: ChatBench) -> None:
    with pytest.raises(InvalidValue):
        await bench.chat.direct.open(bench.ann, "a", bench.ann)
    for nobody in (999, bench.space):
        with pytest.raises(NotFound, match="no user"):
            await bench.chat.direct.open(bench.ann, "b", nobody)


async def test_who_has_too_many_spaces_opens_no_more(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "chat.db", limits=ChatLimits(max_spaces_per_user=1)) as bench:
        with pytest.raises(LimitReached):
            await bench.chat.direct.open(bench.ann, "a", bench.eve)

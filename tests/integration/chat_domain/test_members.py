"""Members come and go, get roles, and are removed or silenced by those above them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.moderation import FOR_EVER_MS
from chat.domain.permissions import Rank
from chat.domain.refusals import InvalidValue, LimitReached, Muted, NotFound, NotPermitted
from tests.support.chat_domain import open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench

LATER_MS = 10**14


async def members_of(bench: ChatBench) -> dict[str, str]:
    page = await bench.chat.members.page(bench.ann, bench.space, after=0, limit=100)
    return {each["name"]: each["role"] for each in msgspec.json.decode(page)["members"]}


async def told(bench: ChatBench, stream: int, user_id: int) -> list[tuple[str, Any]]:
    return [(event["kind"], event["body"]) for event in await bench.events(stream, user_id)]


async def test_who_joins_and_leaves_is_told_to_the_space_and_to_their_own_devices(bench: ChatBench) -> None:
    await bench.chat.spaces.open_to_all(bench.ann, "o", bench.space, is_open=True)
    await bench.chat.members.join(bench.eve, "a", bench.space)
    await bench.chat.members.leave(bench.eve, "b", bench.space)

    eve, space = str(bench.eve), str(bench.space)
    assert (await told(bench, bench.space, bench.ann))[-2:] == [
        ("member.joined", {"user": eve, "role": "member"}),
        ("member.left", {"user": eve}),
    ]
    assert await told(bench, bench.eve, bench.eve) == [
        ("space.joined", {"space": space}),
        ("space.left", {"space": space}),
    ]
    assert "eve" not in await members_of(bench)


async def test_joining_and_leaving_twice_is_as_doing_it_once(bench: ChatBench) -> None:
    await bench.chat.members.join(bench.bob, "a", bench.space)
    await bench.chat.members.leave(bench.eve, "b", bench.space)
    assert await members_of(bench) == {"ann": "owner", "bob": "member"}
    assert (await told(bench, bench.space, bench.ann))[-1][0] == "room.created"


async def test_the_last_owner_stays(bench: ChatBench) -> None:
    with pytest.raises(NotPermitted, match="last owner"):
        await bench.chat.members.leave(bench.ann, "a", bench.space)
    with pytest.raises(NotPermitted, match="last owner"):
        await bench.chat.members.change_role(bench.ann, "b", bench.space, bench.ann, Rank.MEMBER)


async def test_a_full_space_lets_nobody_in(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "chat.db", limits=ChatLimits(max_members_per_space=2)) as bench:
        await bench.chat.spaces.open_to_all(bench.ann, "o", bench.space, is_open=True)
        link = await bench.chat.invites.create(bench.ann, "i", bench.space)
        with pytest.raises(LimitReached, match="2 members"):
            await bench.chat.members.join(bench.eve, "a", bench.space)
        with pytest.raises(LimitReached, match="2 members"):
            await bench.chat.invites.join(bench.eve, "b", link["secret"])
        await bench.chat.moderation.kick(bench.ann, "c", bench.space, bench.bob)
        await bench.chat.members.join(bench.eve, "d", bench.space)


async def test_members_come_in_pages_by_their_ids(bench: ChatBench) -> None:
    page = await bench.chat.members.page(bench.bob, bench.space, after=bench.ann, limit=1)
    (found,) = msgspec.json.decode(page)["members"]
    assert (found["user"], found["name"], found["display_name"], found["role"]) == (
        str(bench.bob),
        "bob",
        "Bob",
        "member",
    )


async def test_who_is_kicked_can_do_nothing_there_and_their_reactions_stay(bench: ChatBench) -> None:
    sent = await bench.send()
    await bench.chat.messages.react(bench.bob, "r", sent.id, "+1", is_on=True)
    await bench.chat.moderation.kick(bench.ann, "k", bench.space, bench.bob)

    with pytest.raises(NotFound):
        await bench.chat.messages.react(bench.bob, "u", sent.id, "+1", is_on=False)
    with pytest.raises(NotFound):
        await bench.send(sender=bench.bob)
    assert (await bench.messages())[0]["reactions"] == [{"emoji": "+1", "user": str(bench.bob)}]
    assert (await told(bench, bench.space, bench.ann))[-1] == ("member.kicked", {"user": str(bench.bob)})
    assert (await told(bench, bench.bob, bench.bob))[-1] == ("space.left", {"space": str(bench.space)})


async def test_kicking_who_has_left_is_a_success(bench: ChatBench) -> None:
    await bench.chat.members.leave(bench.bob, "a", bench.space)
    assert not (await bench.chat.moderation.kick(bench.ann, "b", bench.space, bench.bob))["duplicate"]


async def test_whoever_is_muted_adds_nothing_but_takes_back_what_is_theirs(bench: ChatBench) -> None:
    chat = bench.chat
    await chat.members.change_role(bench.ann, "p", bench.space, bench.bob, Rank.MODERATOR)
    mine = await bench.send("mine", sender=bench.bob)
    await chat.messages.react(bench.bob, "a", mine.id, "+1", is_on=True)
    await chat.messages.pin(bench.bob, "b", mine.id, is_on=True)
    await chat.moderation.mute(bench.ann, "m", bench.space, bench.bob, until_ms=LATER_MS)

    for refused in (
        bench.send(sender=bench.bob),
        chat.messages.edit(bench.bob, "c", mine.id, "other"),
        chat.messages.react(bench.bob, "d", mine.id, "-1", is_on=True),
        chat.messages.pin(bench.bob, "e", (await bench.send()).id, is_on=True),
    ):
        with pytest.raises(Muted) as muted:
            await refused
        assert muted.value.details["until_ms"] == LATER_MS
    await chat.messages.react(bench.bob, "f", mine.id, "+1", is_on=False)
    await chat.messages.pin(bench.bob, "g", mine.id, is_on=False)
    await chat.messages.delete(bench.bob, "h", mine.id)
    assert [(each["content"], each["reactions"]) for each in await bench.messages()] == [
        (None, []),
        ("hello", []),
    ]


async def test_a_mute_ends_at_its_time_or_when_it_is_taken_back(bench: ChatBench) -> None:
    moderation = bench.chat.moderation
    await moderation.mute(bench.ann, "a", bench.space, bench.bob, until_ms=1)
    await bench.send(sender=bench.bob)
    await moderation.mute(bench.ann, "b", bench.space, bench.bob)
    with pytest.raises(Muted):
        await bench.send(sender=bench.bob)
    await moderation.unmute(bench.ann, "c", bench.space, bench.bob)
    await moderation.unmute(bench.ann, "d", bench.space, bench.bob)
    await bench.send(sender=bench.bob)


async def test_a_mute_outlives_leaving_and_joining_again(bench: ChatBench) -> None:
    chat = bench.chat
    await chat.spaces.open_to_all(bench.ann, "o", bench.space, is_open=True)
    await chat.moderation.mute(bench.ann, "m", bench.space, bench.bob, until_ms=LATER_MS)
    await chat.members.leave(bench.bob, "a", bench.space)
    await chat.members.join(bench.bob, "b", bench.space)
    with pytest.raises(Muted):
        await bench.send(sender=bench.bob)

    await chat.members.leave(bench.bob, "c", bench.space)
    await chat.moderation.unmute(bench.ann, "d", bench.space, bench.bob)
    await chat.members.join(bench.bob, "e", bench.space)
    await bench.send(sender=bench.bob)


async def test_the_list_of_the_muted_is_for_who_may_mute_and_names_who_left(bench: ChatBench) -> None:
    moderation = bench.chat.moderation
    await moderation.mute(bench.ann, "a", bench.space, bench.bob)
    with pytest.raises(NotPermitted):
        await moderation.muted(bench.bob, bench.space, after=0, limit=10)
    await bench.chat.members.leave(bench.bob, "b", bench.space)

    found = msgspec.json.decode(await moderation.muted(bench.ann, bench.space, after=0, limit=10))
    (muted,) = found["muted"]
    assert (muted["user"], muted["name"], muted["until_ms"], muted["muted_by"]) == (
        str(bench.bob),
        "bob",
        FOR_EVER_MS,
        str(bench.ann),
    )


@pytest.mark.parametrize("until_ms", [0, -1, FOR_EVER_MS + 1])
async def test_a_mute_ends_within_what_can_be_written(bench: ChatBench, until_ms: int) -> None:
    with pytest.raises(InvalidValue, match="until_ms"):
        await bench.chat.moderation.mute(bench.ann, "a", bench.space, bench.bob, until_ms=until_ms)


async def test_nobody_mutes_or_promotes_who_is_not_there(bench: ChatBench) -> None:
    with pytest.raises(NotFound, match="no member"):
        await bench.chat.moderation.mute(bench.ann, "a", bench.space, bench.eve)
    with pytest.raises(NotFound, match="no member"):
        await bench.chat.members.change_role(bench.ann, "b", bench.space, bench.eve, Rank.ADMIN)

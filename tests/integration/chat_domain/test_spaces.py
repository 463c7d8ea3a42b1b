"""Spaces are made, described by settings of one version after the other, and ended by their owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.permissions import Rank
from chat.domain.refusals import ClientIdReused, InvalidValue, LimitReached, NotFound, VersionConflict
from chat.domain.space_settings import Picture, RoleNames, SpaceFields
from tests.support.chat_domain import open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench


async def space_of(bench: ChatBench, user_id: int) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(await bench.chat.spaces.get(user_id, bench.space))
    return found


async def test_a_space_tells_a_member_what_it_is_and_what_they_are_in_it(bench: ChatBench) -> None:
    found = await space_of(bench, bench.bob)
    assert found == {
        "id": str(bench.space),
        "kind": "space",
        "settings": {"name": "Home", "description": ""},
        "version": 1,
        "is_open": False,
        "role": "member",
        "member_count": 2,
        "muted_until_ms": 0,
        "epoch": found["epoch"],
        "last_seq": found["last_seq"],
    }


async def test_a_space_that_is_made_again_with_the_same_client_id_is_the_same(bench: ChatBench) -> None:
    first = await bench.chat.spaces.create(bench.bob, "x", name="One")
    again = await bench.chat.spaces.create(bench.bob, "x", name="One")
    assert (again["id"], again["duplicate"]) == (first["id"], True)
    with pytest.raises(ClientIdReused):
        await bench.chat.spaces.create(bench.bob, "x", name="Two")


async def test_who_is_in_too_many_spaces_makes_no_more(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "chat.db", limits=ChatLimits(max_spaces_per_user=1)) as bench:
        with pytest.raises(LimitReached, match="1 spaces"):
            await bench.chat.spaces.create(bench.ann, "x", name="Two")
        open_space = await bench.chat.spaces.create(bench.eve, "y", name="Eve's", is_open=True)
        with pytest.raises(LimitReached, match="1 spaces"):
            await bench.chat.members.join(bench.ann, "z", int(open_space["id"]))


async def test_a_change_leaves_the_other_settings_as_they_are(bench: ChatBench) -> None:
    spaces = bench.chat.spaces
    fields = SpaceFields(emoji=[Picture(name="party", image="a.png")], role_names=RoleNames(owner="Queen"))
    done = await spaces.update(bench.ann, "a", bench.space, fields)
    await spaces.update(
        bench.ann,
        "b",
        bench.space,
        SpaceFields(description="Ours", role_names=RoleNames(owner=None, member="Bee")),
    )

    found = await space_of(bench, bench.bob)
    assert done == {"client_id": "a", "space_id": str(bench.space), "version": 2, "duplicate": False}
    assert found["version"] == 3
    assert found["settings"] == {
        "name": "Home",
        "description": "Ours",
        "emoji": [{"name": "party", "image": "a.png"}],
        "role_names": {"member": "Bee"},
    }
    event = (await bench.events(bench.space))[-1]
    assert (event["kind"], event["body"]) == (
        "space.updated",
        {"version": 3, "settings": {"description": "Ours", "role_names": {"owner": None, "member": "Bee"}}},
    )


async def test_of_two_changes_to_one_version_the_second_gets_what_there_is_now(bench: ChatBench) -> None:
    spaces = bench.chat.spaces
    await spaces.update(bench.ann, "a", bench.space, SpaceFields(name="Nest"), version=1)
    with pytest.raises(VersionConflict) as refused:
        await spaces.update(bench.ann, "b", bench.space, SpaceFields(name="Den"), version=1)
    assert refused.value.details["current"] == {
        "version": 2,
        "settings": {"name": "Nest", "description": ""},
        "updated_at_ms": (await bench.events(bench.space))[-1]["at_ms"],
    }
    again = await spaces.update(bench.ann, "a", bench.space, SpaceFields(name="Nest"), version=1)
    assert (again["version"], again["duplicate"]) == (2, True)


@pytest.mark.parametrize(
    "fields",
    [
        SpaceFields(),
        SpaceFields(name=""),
        SpaceFields(name="x" * 101),
        SpaceFields(name="a\nb"),
        SpaceFields(emoji=[Picture(name="", image="x")]),
        SpaceFields(stickers=[Picture(name="x", image="x")] * 501),
        SpaceFields(emoji=[Picture(name=f"{n}", image="x" * 900) for n in range(80)]),
    ],
    ids=["none", "no name", "long name", "line feed", "nameless emoji", "many stickers", "many bytes"],
)
async def test_settings_that_break_a_rule_are_refused(bench: ChatBench, fields: SpaceFields) -> None:
    with pytest.raises(InvalidValue):
        await bench.chat.spaces.update(bench.ann, "x", bench.space, fields)
    assert (await space_of(bench, bench.ann))["version"] == 1


async def test_spaces_come_in_pages_by_their_ids(bench: ChatBench) -> None:
    spaces = bench.chat.spaces
    ids = [str(bench.space)]
    ids += [(await spaces.create(bench.ann, f"{n}", name=f"{n}"))["id"] for n in range(3)]
    pages = []
    after = 0
    while page := msgspec.json.decode(await spaces.page(bench.ann, after=after, limit=2))["spaces"]:
        pages.append([each["id"] for each in page])
        after = int(page[-1]["id"])
    assert pages == [ids[:2], ids[2:]]
    assert msgspec.json.decode(await spaces.page(bench.eve, after=0, limit=9)) == {"spaces": []}


async def test_an_opened_space_lets_in_who_knows_its_id(bench: ChatBench) -> None:
    with pytest.raises(NotFound):
        await bench.chat.members.join(bench.eve, "a", bench.space)
    await bench.chat.spaces.open_to_all(bench.ann, "b", bench.space, is_open=True)
    await bench.chat.members.join(bench.eve, "c", bench.space)
    assert (await space_of(bench, bench.eve))["member_count"] == 3
    assert (await bench.chat.spaces.open_to_all(bench.ann, "d", bench.space, is_open=True))["space_id"]


async def test_nobody_is_in_a_space_that_was_deleted(bench: ChatBench) -> None:
    link = await bench.chat.invites.create(bench.ann, "i", bench.space)
    await bench.chat.spaces.delete(bench.ann, "x", bench.space)

    for user_id in (bench.ann, bench.bob):
        with pytest.raises(NotFound):
            await bench.chat.spaces.get(user_id, bench.space)
        with pytest.raises(NotFound):
            await bench.send(sender=user_id)
    with pytest.raises(NotFound):
        await bench.chat.invites.join(bench.eve, "j", link["secret"])
    assert (await bench.chat.spaces.delete(bench.ann, "x", bench.space))["duplicate"]
    assert (await bench.events(bench.ann))[-1]["kind"] == "space.left"


async def test_what_is_asked_of_a_space_that_is_not_the_users_finds_none(bench: ChatBench) -> None:
    chat = bench.chat
    for ask in (
        chat.spaces.get(bench.eve, bench.space),
        chat.members.page(bench.eve, bench.space, after=0, limit=1),
        chat.rooms.of_space(bench.eve, bench.space),
        chat.rooms.get(bench.eve, bench.room),
        chat.groups.of_space(bench.eve, bench.space),
        chat.invites.of_space(bench.eve, bench.space),
        chat.moderation.muted(bench.eve, bench.space, after=0, limit=1),
        chat.messages.pins(bench.eve, bench.room, after=0, limit=1),
    ):
        with pytest.raises(NotFound):
            await ask


async def test_an_owner_may_hand_the_space_over_and_leave(bench: ChatBench) -> None:
    members = bench.chat.members
    await members.change_role(bench.ann, "a", bench.space, bench.bob, Rank.OWNER)
    await members.leave(bench.ann, "b", bench.space)
    assert (await space_of(bench, bench.bob))["role"] == "owner"

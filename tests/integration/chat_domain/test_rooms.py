"""Rooms and their groups are made, renamed, put in order and archived; how far each was read is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.refusals import InvalidValue, LimitReached, NotFound, NotPermitted, Taken
from chat.domain.rooms import RoomFields
from tests.support.chat_domain import open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench


async def rooms_of(bench: ChatBench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(
        await bench.chat.rooms.of_space(bench.bob, bench.space)
    )["rooms"]
    return found


async def test_a_room_is_told_of_with_its_id(bench: ChatBench) -> None:
    made = await bench.chat.rooms.create(bench.ann, "a", bench.space, name="tea", topic="Leaves")
    event = (await bench.events(bench.space))[-1]
    assert (event["kind"], event["body"]) == (
        "room.created",
        {"room": made["id"], "name": "tea", "topic": "Leaves", "group": None},
    )


async def test_what_is_not_given_of_a_room_stays(bench: ChatBench) -> None:
    rooms = bench.chat.rooms
    group = await bench.chat.groups.create(bench.ann, "g", bench.space, name="Kitchen")
    await rooms.update(bench.ann, "a", bench.room, RoomFields(topic="All", group=group["id"], place=7))
    await rooms.update(bench.ann, "b", bench.room, RoomFields(name="hall"))

    found = msgspec.json.decode(await rooms.get(bench.bob, bench.room))
    assert (found["name"], found["topic"], found["group"], found["place"]) == ("hall", "All", group["id"], 7)
    event = (await bench.events(bench.space))[-1]
    assert (event["kind"], event["body"]) == ("room.updated", {"room": str(bench.room), "name": "hall"})

    await rooms.update(bench.ann, "c", bench.room, RoomFields(group=""))
    assert msgspec.json.decode(await rooms.get(bench.bob, bench.room))["group"] is None


async def test_rooms_come_in_the_order_of_their_places(bench: ChatBench) -> None:
    rooms = bench.chat.rooms
    second = await rooms.create(bench.ann, "a", bench.space, name="tea")
    await rooms.update(bench.ann, "b", bench.room, RoomFields(place=9))
    assert [each["id"] for each in await rooms_of(bench)] == [second["id"], str(bench.room)]


async def test_a_name_is_taken_once_in_a_space(bench: ChatBench) -> None:
    with pytest.raises(Taken, match="general"):
        await bench.chat.rooms.create(bench.ann, "a", bench.space, name="general")
    other = await bench.chat.rooms.create(bench.ann, "b", bench.space, name="tea")
    with pytest.raises(Taken, match="general"):
        await bench.chat.rooms.update(bench.ann, "c", int(other["id"]), RoomFields(name="general"))
    await bench.chat.groups.create(bench.ann, "d", bench.space, name="one")
    with pytest.raises(Taken, match="one"):
        await bench.chat.groups.create(bench.ann, "e", bench.space, name="one")


async def test_an_archived_room_is_read_and_taken_from_but_not_added_to(bench: ChatBench) -> None:
    messages, rooms = bench.chat.messages, bench.chat.rooms
    sent, other = await bench.send(), await bench.send()
    await messages.react(bench.ann, "a", sent.id, "+1", is_on=True)
    await messages.pin(bench.ann, "b", sent.id, is_on=True)
    await rooms.update(bench.ann, "c", bench.room, RoomFields(is_archived=True))
    await rooms.update(bench.ann, "c2", bench.room, RoomFields(is_archived=True))

    for refused in (
        bench.send(),
        messages.edit(bench.ann, "d", sent.id, "other"),
        messages.react(bench.bob, "e", sent.id, "+1", is_on=True),
        messages.pin(bench.ann, "f", other.id, is_on=True),
    ):
        with pytest.raises(NotPermitted, match="archived"):
            await refused
    await messages.pin(bench.ann, "g", sent.id, is_on=False)
    await messages.react(bench.ann, "h", sent.id, "+1", is_on=False)
    await messages.delete(bench.ann, "i", sent.id)

    await rooms.update(bench.ann, "j", bench.room, RoomFields(is_archived=False))
    await bench.send()


@pytest.mark.parametrize(
    "fields", [RoomFields(), RoomFields(name=""), RoomFields(place=-1), RoomFields(topic="x" * 1001)]
)
async def test_a_change_of_a_room_that_breaks_a_rule_is_refused(bench: ChatBench, fields: RoomFields) -> None:
    with pytest.raises(InvalidValue):
        await bench.chat.rooms.update(bench.ann, "a", bench.room, fields)


async def test_there_are_only_so_many_rooms_and_groups(tmp_path: Path) -> None:
    limits = ChatLimits(max_rooms_per_space=1, max_groups_per_space=1)
    async with open_bench(tmp_path / "chat.db", limits=limits) as bench:
        await bench.chat.groups.create(bench.ann, "a", bench.space, name="one")
        with pytest.raises(LimitReached, match="1 groups"):
            await bench.chat.groups.create(bench.ann, "b", bench.space, name="two")
        with pytest.raises(LimitReached, match="1 rooms"):
            await bench.chat.rooms.create(bench.ann, "c", bench.space, name="two")


async def test_the_group_of_another_space_is_none(bench: ChatBench) -> None:
    other = await bench.chat.spaces.create(bench.ann, "o", name="Other")
    group = await bench.chat.groups.create(bench.ann, "g", int(other["id"]), name="theirs")
    with pytest.raises(NotFound, match="no group"):
        await bench.chat.rooms.update(bench.ann, "a", bench.room, RoomFields(group=group["id"]))
    with pytest.raises(NotFound, match="no group"):
        await bench.chat.rooms.create(bench.ann, "b", bench.space, name="x", group_id=int(group["id"]))
    with pytest.raises(NotFound, match="no group"):
        await bench.chat.groups.update(bench.ann, "c", bench.space, int(group["id"]), name="ours")
    with pytest.raises(NotFound, match="no room"):
        await bench.chat.rooms.update(bench.eve, "d", bench.room, RoomFields(name="mine"))


async def test_a_group_that_goes_leaves_its_rooms(bench: ChatBench) -> None:
    groups = bench.chat.groups
    group = int((await groups.create(bench.ann, "g", bench.space, name="Kitchen"))["id"])
    await groups.update(bench.ann, "u", bench.space, group, name="Cellar", place=3)
    await bench.chat.rooms.create(bench.ann, "r", bench.space, name="tea", group_id=group)
    found = msgspec.json.decode(await groups.of_space(bench.bob, bench.space))
    assert found == {"groups": [{"id": str(group), "name": "Cellar", "place": 3}]}

    await groups.delete(bench.ann, "d", bench.space, group)
    await groups.delete(bench.ann, "e", bench.space, group)
    assert [each["group"] for each in await rooms_of(bench)] == [None, None]
    kinds = [event["kind"] for event in await bench.events(bench.space)]
    assert kinds[-4:] == ["group.created", "group.updated", "room.created", "group.deleted"]
    with pytest.raises(InvalidValue, match="nothing"):
        await groups.update(bench.ann, "n", bench.space, group)


async def test_a_read_marker_only_moves_on_and_not_beyond_the_end(bench: ChatBench) -> None:
    markers = bench.chat.read_markers
    for _ in range(3):
        await bench.send()
    room = str(bench.room)
    assert await markers.move(bench.bob, bench.room, 2) == {"room_id": room, "seq": 2}
    assert await markers.move(bench.bob, bench.room, 1) == {"room_id": room, "seq": 2}
    assert await markers.move(bench.bob, bench.room, 99) == {"room_id": room, "seq": 3}

    told = [(event["kind"], event["body"]) for event in await bench.events(bench.bob, bench.bob)]
    assert told == [
        ("room.read", {"room": room, "seq": 2}),
        ("room.read", {"room": room, "seq": 3}),
    ]
    listed = msgspec.json.decode(await bench.chat.rooms.of_user(bench.bob))["rooms"]
    assert [each["read_seq"] for each in listed] == [3]


async def test_who_is_not_there_reads_nothing_and_an_empty_room_has_no_marker(bench: ChatBench) -> None:
    assert (await bench.chat.read_markers.move(bench.bob, bench.room, 5))["seq"] == 0
    with pytest.raises(NotFound, match="no room"):
        await bench.chat.read_markers.move(bench.eve, bench.room, 1)

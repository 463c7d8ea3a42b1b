"""Messages are stored once, in order, and only from those who may send them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.refusals import ClientIdReused, InvalidValue, Muted, NotFound, NotPermitted, OutOfTurn
from chat.domain.rooms import RoomFields
from chat.domain.sending import Order
from tests.support.chat_domain import open_bench
from tests.support.loops import BOTH, on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench

anyio_backend = on(BOTH)


async def test_messages_are_numbered_without_holes_whoever_sends_them(bench: ChatBench) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(partial(bench.send, f"{number}", sender=(bench.ann, bench.bob)[number % 2]))

    found = await bench.messages()
    assert [each["seq"] for each in found] == list(range(1, 41))
    assert sorted(int(each["content"]) for each in found) == list(range(40))


async def test_a_send_that_comes_again_is_answered_as_the_first_time(bench: ChatBench) -> None:
    first = await bench.send("hello", client_id="x")
    again = await bench.send("hello", client_id="x")

    assert (again.id, again.seq, again.duplicate) == (first.id, first.seq, True)
    assert len(await bench.messages()) == 1


async def test_of_the_same_send_a_hundred_times_at_once_one_is_stored(bench: ChatBench) -> None:
    acks = []

    async def send() -> None:
        acks.append(await bench.send("hello", client_id="x"))

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(send)

    assert len({ack.id for ack in acks}) == 1
    assert sum(not ack.duplicate for ack in acks) == 1
    assert [event["kind"] for event in await bench.events()] == ["message.created"]


async def test_a_client_id_with_another_content_is_a_conflict(bench: ChatBench) -> None:
    await bench.send("hello", client_id="x")
    with pytest.raises(ClientIdReused):
        await bench.send("goodbye", client_id="x")


async def test_the_client_id_of_somebody_else_is_free_to_use(bench: ChatBench) -> None:
    first = await bench.send("mine", client_id="x")
    second = await bench.send("yours", client_id="x", sender=bench.bob)
    assert (second.duplicate, second.seq) == (False, first.seq + 1)


async def test_a_client_id_that_belongs_to_another_action_is_refused(bench: ChatBench) -> None:
    sent = await bench.send()
    await bench.chat.messages.react(bench.ann, "x", sent.id, "+1", is_on=True)
    with pytest.raises(ClientIdReused):
        await bench.send("hello", client_id="x")
    with pytest.raises(ClientIdReused):
        await bench.chat.messages.edit(bench.ann, "x", sent.id, "other")


async def test_who_is_no_member_finds_no_room(bench: ChatBench) -> None:
    with pytest.raises(NotFound, match="no room"):
        await bench.send(sender=bench.eve)
    with pytest.raises(NotFound, match="no room"):
        await bench.messages(bench.eve)
    assert await bench.messages() == []


async def test_who_is_muted_is_told_until_when(bench: ChatBench) -> None:
    await bench.chat.moderation.mute(bench.ann, "m", bench.space, bench.bob, until_ms=10**14)
    with pytest.raises(Muted) as refused:
        await bench.send(sender=bench.bob)
    assert refused.value.details["until_ms"] == 10**14


async def test_an_archived_room_takes_no_messages(bench: ChatBench) -> None:
    await bench.chat.rooms.update(bench.ann, "a", bench.room, RoomFields(is_archived=True))
    with pytest.raises(NotPermitted, match="archived"):
        await bench.send()


async def test_an_answer_has_to_be_to_a_message_of_the_same_room(bench: ChatBench) -> None:
    sent = await bench.send()
    other = await bench.chat.rooms.create(bench.ann, bench.client_id(), bench.space, name="other")
    with pytest.raises(NotFound, match="no message"):
        await bench.send(room=int(other["id"]), reply_to=int(sent.id))
    answer = await bench.send(reply_to=int(sent.id))
    assert (await bench.messages())[1]["reply_to"] == sent.id
    assert answer.seq == 2


@pytest.mark.parametrize("client_id", ["", "x" * 65, "a b", "ä"])
async def test_what_can_be_no_client_id_is_refused(bench: ChatBench, client_id: str) -> None:
    with pytest.raises(InvalidValue, match="client id"):
        await bench.chat.messages.edit(bench.ann, client_id, "1", "x")


async def test_a_content_that_is_too_long_is_refused_with_its_size(bench: ChatBench) -> None:
    with pytest.raises(InvalidValue, match="32769 bytes; at most 32768"):
        await bench.send("x" * 32_769)


async def test_numbered_sends_are_stored_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "chat.db", limits=ChatLimits(out_of_turn_patience_s=0.01)) as bench:
        await _numbered(bench)


async def _numbered(bench: ChatBench) -> None:
    with pytest.raises(OutOfTurn) as refused:
        await bench.send("second", order=Order("s", 2))
    assert refused.value.details["expected"] == 1

    await bench.send("first", order=Order("s", 1))
    await bench.send("second", order=Order("s", 2))
    assert [each["content"] for each in await bench.messages()] == ["first", "second"]


async def test_many_numbered_sends_may_be_in_flight_at_once(bench: ChatBench) -> None:
    async with anyio.create_task_group() as tasks:
        for number in reversed(range(1, 31)):
            tasks.start_soon(partial(bench.send, f"{number}", order=Order("s", number)))
    assert [each["content"] for each in await bench.messages()] == [f"{n}" for n in range(1, 31)]


async def test_a_refused_send_takes_its_number_so_that_the_next_goes_on(bench: ChatBench) -> None:
    with pytest.raises(NotFound):
        await bench.send("answer to nothing", reply_to=999, order=Order("s", 1))
    ack = await bench.send("next", order=Order("s", 2))
    assert ack.seq == 1


async def test_a_number_whose_send_was_given_up_is_taken_by_a_void(bench: ChatBench) -> None:
    await bench.chat.sending.void(bench.room, bench.ann, Order("s", 1))
    await bench.chat.sending.void(bench.room, bench.ann, Order("s", 1))
    assert (await bench.send("next", order=Order("s", 2))).seq == 1


async def test_a_repeated_send_in_a_new_session_takes_its_number_there(bench: ChatBench) -> None:
    await bench.send("hello", client_id="x", order=Order("old", 1))
    again = await bench.send("hello", client_id="x", order=Order("new", 1))
    assert again.duplicate
    assert (await bench.send("next", order=Order("new", 2))).seq == 2

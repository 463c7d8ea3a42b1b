"""What a client does reaches the server, once and in order; offline it is shown at once and done later."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from chat import (
    ActionExpired,
    ActionFailed,
    ActionRolledBack,
    AuthExpired,
    ClientIdConflict,
    MessageChanged,
    SpaceConflict,
    StoreTaken,
)
from chat.queue import payloads
from tests.support.chat_client import NOWHERE, PASSWORD, the_next
from tests.support.loops import ASYNCIO, on
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.chat_client import House

LIMIT_S = 30.0

anyio_backend = on(
    ASYNCIO
)  # the queue and the client's connections are tried on both: `../chat`, `test_live.py`


async def test_messages_come_in_the_order_in_which_they_were_sent(house: House) -> None:
    async with house.logged_in() as client:
        with anyio.fail_after(LIMIT_S):
            receipts = [client.send(house.room, f"message {number}") for number in range(20)]
            answers = [await receipt.sent() for receipt in receipts]
        assert await anyio.to_thread.run_sync(house.contents) == [f"message {number}" for number in range(20)]
        assert [answer["client_id"] for answer in answers] == [receipt.client_id for receipt in receipts]


async def test_a_message_that_was_sent_before_is_not_shown_as_under_way_for_ever(house: House) -> None:
    async with house.logged_in() as client:
        with anyio.fail_after(LIMIT_S):
            for _ in range(2):
                await client.send(house.room, "once", client_id=f"once-{house.room}").sent()
                await until(lambda: client._under_way.actions == [])
        assert await anyio.to_thread.run_sync(house.contents) == ["once"]


async def test_another_message_of_the_same_client_id_hides_neither_the_first_nor_itself_behind_it(
    house: House,
) -> None:
    name = f"first-{house.room}"
    async with house.logged_in() as client:
        client.go_offline()
        heard = client.events()
        client.send(house.room, "first", client_id=name)
        other = client.send(house.room, "other", client_id=name)
        third = client.send(house.room, "third")
        with pytest.raises(ClientIdConflict):
            await other.durable()
        await third.durable()
        await client.queue.cancel(third.client_id)
        told = await the_next(heard, ActionRolledBack)
        shown = await client.messages(house.room)

        assert told.client_id == third.client_id
        assert [(each.content, each.state) for each in shown] == [("first", "pending")]


async def test_what_is_done_without_a_connection_is_shown_at_once_and_done_later(house: House) -> None:
    async with house.logged_in() as client:
        client.go_offline()
        sent = client.send(house.room, "first")
        others = [
            client.edit(house.room, sent.client_id, "better"),
            client.react(house.room, sent.client_id, "+1"),
            client.pin(house.room, sent.client_id),
        ]
        (shown,) = await client.messages(house.room)
        assert (shown.content, shown.is_pinned, shown.state) == ("better", True, "pending")
        assert [(each.emoji, each.user) for each in shown.reactions] == [("+1", house.ann)]
        assert await anyio.to_thread.run_sync(house.contents) == []
        client.go_online()
        with anyio.fail_after(LIMIT_S):
            for receipt in (sent, *others):
                await receipt.sent()
        (stored,) = await anyio.to_thread.run_sync(house.messages)
        assert (stored["content"], stored["is_pinned"]) == ("better", True)
        assert stored["reactions"] == [{"emoji": "+1", "user": house.ann}]


async def test_what_was_not_sent_when_the_program_ended_is_sent_once_by_the_next_one(house: House) -> None:
    async with house.logged_in() as client:
        client.go_offline()
        for number in range(5):
            await client.send(house.room, str(number)).durable()
    async with house.client(url=NOWHERE) as client:
        assert [each.content for each in await client.messages(house.room)] == list("01234")
        assert {each.state for each in await client.messages(house.room)} == {"pending"}
    async with house.client() as client:
        with anyio.fail_after(LIMIT_S):
            await client.send(house.room, "last").sent()
    assert await anyio.to_thread.run_sync(house.contents) == [*"01234", "last"]


async def test_an_action_that_is_refused_is_shown_no_longer(house: House) -> None:
    async with house.logged_in("bob") as bob, house.logged_in() as ann:
        heard = bob.events()
        with anyio.fail_after(LIMIT_S):
            sent = await ann.send(house.room, "hello").sent()
            await the_next(heard, MessageChanged, lambda event: event.message.id == sent["id"])
            bob.go_offline()
            receipts = [bob.pin(house.room, sent["id"]), bob.edit(house.room, sent["id"], "not mine")]
            (shown,) = await bob.messages(house.room)
            assert (shown.content, shown.is_pinned) == ("not mine", True)
            bob.go_online()
            told = [await the_next(heard, ActionRolledBack) for _ in receipts]
        assert {each.client_id for each in told} == {each.client_id for each in receipts}
        assert {each.failure.status for each in told if each.failure} == {403}
        (shown,) = await bob.messages(house.room)
        assert (shown.content, shown.is_pinned, shown.state) == ("hello", False, "sent")


async def test_a_message_to_a_room_that_is_gone_is_dropped_and_the_next_ones_go_on(house: House) -> None:
    async with house.logged_in() as client:
        heard = client.events()
        with anyio.fail_after(LIMIT_S):
            lost = client.send("999999", "to nobody")
            with pytest.raises(ActionExpired):
                await lost.sent()
            told = await the_next(heard, ActionRolledBack)
            assert (told.client_id, told.failure and told.failure.kind) == (lost.client_id, "target_gone")
            await client.send(house.room, "to somebody").sent()
        assert await client.messages("999999") == []


async def test_a_message_that_was_refused_leaves_its_number_to_the_next_one(house: House) -> None:
    async with house.logged_in() as client:
        with anyio.fail_after(LIMIT_S):
            with pytest.raises(ActionFailed):
                await client.send(house.room, "x" * 40_000).sent()
            await client.send(house.room, "short").sent()
    assert await anyio.to_thread.run_sync(house.contents) == ["short"]


async def test_a_deleted_message_is_gone_here_and_there_whoever_deleted_it_before(house: House) -> None:
    async with house.logged_in() as client:
        with anyio.fail_after(LIMIT_S):
            sent = await client.send(house.room, "hello").sent()
            await client.delete(house.room, sent["id"]).sent()
            await client.delete(house.room, sent["id"]).sent()
            with pytest.raises(ActionExpired):
                await client.react(house.room, sent["id"], "+1").sent()
        (shown,) = await client.messages(house.room)
        assert (shown.content, shown.reactions) == (None, ())


async def test_members_are_muted_and_removed_and_come_back(house: House) -> None:
    async with house.logged_in() as ann, house.logged_in("bob") as bob:
        with anyio.fail_after(LIMIT_S):
            ann.go_offline()
            muted = ann.mute(house.space, house.bob)
            assert (await ann.space(house.space)).members[house.bob].is_muted
            ann.go_online()
            await muted.sent()
            with pytest.raises(ActionFailed) as caught:
                await bob.send(house.room, "may I?").sent()
            assert caught.value.failure is not None
            assert caught.value.failure.code == "muted"
            await ann.unmute(house.space, house.bob).sent()
            await bob.send(house.room, "thanks").sent()
            await ann.kick(house.space, house.bob).sent()
            await ann.kick(house.space, house.bob).sent()
            assert house.bob not in (await ann.space(house.space)).members
            with pytest.raises(ActionExpired):
                await bob.send(house.room, "still here?").sent()
            await bob.join(house.space).sent()
            assert (await bob.space(house.space)).is_member
            await bob.leave(house.space).sent()
            assert not (await bob.space(house.space)).is_member


async def test_space_settings_and_profile_are_saved_field_by_field(house: House) -> None:
    async with house.logged_in() as client:
        await until(lambda: house.space in client._cache.positions)
        with anyio.fail_after(LIMIT_S):
            client.go_offline()
            receipts = [
                client.update_space(house.space, {"name": "Castle"}),
                client.update_profile(display_name="Ann", mood="fine"),
            ]
            assert (await client.space(house.space)).settings["name"] == "Castle"
            assert client.profile()["mood"] == "fine"
            client.go_online()
            for receipt in receipts:
                await receipt.sent()
            await until(lambda: not client._under_way.actions)
            found = await client.call("GET", f"/v1/spaces/{house.space}")
            assert found["settings"]["name"] == "Castle"
            assert client.profile()["display_name"] == "Ann"
            me = await client.call("GET", "/v1/me")
            assert (me["display_name"], me["fields"]["mood"]) == ("Ann", "fine")


async def test_an_older_version_of_a_spaces_settings_is_a_conflict_that_blocks(house: House) -> None:
    async with house.logged_in() as client:
        with anyio.fail_after(LIMIT_S):
            await client.update_space(house.space, {"name": "One"}).sent()
            older = payloads.UpdateSpace(space_id=house.space, fields={"name": "Two"}, base_version=1)
            receipt = client._put(older)
            with pytest.raises(ActionFailed) as caught:
                await receipt.sent()
        assert caught.value.failure is not None
        assert caught.value.failure.kind == "conflict"


async def test_a_space_that_two_changed_is_merged_and_the_older_change_is_told(house: House) -> None:
    async with house.logged_in() as client:
        await until(lambda: house.space in client._cache.positions)
        with anyio.fail_after(LIMIT_S):
            await client.update_space(house.space, {"name": "Home"}).sent()
            client.go_offline()
            events = client.events()
            seen = await client.space(house.space)
            receipt = client.update_space(house.space, {"name": "Mine", "description": "warm"}, seen=seen)
            await receipt.durable()
            meanwhile = {"client_id": f"meanwhile-{house.space}", "fields": {"name": "Theirs"}}
            changed = await anyio.to_thread.run_sync(
                partial(house.ann_http.patch, f"/v1/spaces/{house.space}", json=meanwhile)
            )
            changed.raise_for_status()
            client.go_online()
            await receipt.sent()
            event = await the_next(events, SpaceConflict)
            found = (await client.call("GET", f"/v1/spaces/{house.space}"))["settings"]
            shown = (await client.space(house.space)).settings
        assert (event.space_id, event.conflict.name) == (house.space, "name")
        assert (event.conflict.kept, event.conflict.lost, event.conflict.was_mine) == ("Theirs", "Mine", True)
        assert (found["name"], found["description"]) == ("Theirs", "warm")
        assert (shown["name"], shown["description"]) == ("Theirs", "warm")


async def test_a_store_belongs_to_one_user(house: House) -> None:
    async with house.logged_in("ann", "shared") as client:
        await client.logout()
        assert not client.is_logged_in
    async with house.client("ann", "shared") as client:
        assert client.user_id == house.ann
        with pytest.raises(StoreTaken):
            await client.login("bob", PASSWORD)
        with pytest.raises(AuthExpired):
            client.send(house.room, "who am I?")


async def test_a_wrong_password_logs_nobody_in(house: House) -> None:
    async with house.client() as client:
        with pytest.raises(AuthExpired) as caught:
            await client.login("ann", "wrong password")
        assert (caught.value.code, client.is_logged_in) == ("wrong_password", False)

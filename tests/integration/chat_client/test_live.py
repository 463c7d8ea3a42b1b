"""Live events: all of them, in order, whatever becomes of the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import msgspec

from chat.client.events import ConnectionChanged, MessageChanged, SpaceChanged, UserChanged
from chat.client.following import Position
from chat.messages.events import SessionExpired
from tests.support.chat_client import PASSWORD, the_next
from tests.support.cut_proxy import cut_proxy
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.chat_client import House

LIMIT_S = 30.0
ENDED = "dsu_ended"


def bob_sends(house: House, text: str) -> str:
    answer = house.bob_http.post(
        f"/v1/rooms/{house.room}/messages", json={"client_id": f"{house.room}-{text}", "content": text}
    )
    found: str = answer.raise_for_status().json()["id"]
    return found


async def sent_by_bob(house: House, *texts: str) -> list[str]:
    return [await anyio.to_thread.run_sync(bob_sends, house, text) for text in texts]


async def test_what_others_write_is_told_and_kept(house: House) -> None:
    async with house.logged_in() as client:
        heard = client.events()
        await the_next(heard, ConnectionChanged, lambda event: event.is_connected)
        await until(lambda: house.room in client._cache.positions)
        (sent,) = await sent_by_bob(house, "hello")
        event = await the_next(heard, MessageChanged, lambda event: event.room_id == house.room)
        assert (event.kind, event.message.id, event.message.content, event.actor) == (
            "message.created",
            sent,
            "hello",
            house.bob,
        )
        assert [each.content for each in await client.messages(house.room)] == ["hello"]
        (kept,) = await client.stream_events(house.room)
        assert kept.message is not None
        assert kept.message["id"] == sent


async def test_nothing_is_missed_while_the_connection_is_cut(house: House) -> None:
    async with cut_proxy(house.url) as proxy, house.logged_in(url=proxy.url) as client:
        heard = client.events()
        await until(lambda: house.room in client._cache.positions)
        await sent_by_bob(house, "1")
        proxy.is_open = False
        proxy.cut()
        await the_next(heard, ConnectionChanged, lambda event: not event.is_connected)
        await sent_by_bob(house, "2", "3", "4")
        proxy.is_open = True
        await the_next(
            heard, MessageChanged, lambda event: event.message.content == "4" and event.room_id == house.room
        )
        assert [each.content for each in await client.messages(house.room)] == ["1", "2", "3", "4"]
        assert [each.seq for each in await client.stream_events(house.room)] == [1, 2, 3, 4]


async def test_a_client_that_was_closed_takes_up_where_it_was(house: House) -> None:
    async with house.logged_in() as client:
        await until(lambda: house.room in client._cache.positions)
    await sent_by_bob(house, *map(str, range(5)))
    async with house.client() as client:
        await until(lambda: client._cache.positions[house.room].seq == 5)
        assert [each.content for each in await client.messages(house.room)] == list("01234")


async def test_what_was_read_is_there_without_a_connection(house: House) -> None:
    await sent_by_bob(house, "old", "new")
    async with house.logged_in() as client:
        await until(lambda: house.room in client._cache.positions)
    async with house.client(url="http://127.0.0.1:9") as client:
        assert house.room in {each.id for each in await client.rooms()}
        assert [each.content for each in await client.messages(house.room)] == ["old", "new"]


async def test_older_messages_are_read_when_asked_for_and_kept(house: House) -> None:
    await sent_by_bob(house, *map(str, range(6)))
    async with house.logged_in() as client:
        await until(lambda: house.room in client._cache.positions)
        await client._cache._tables.write("forget_messages", house.room, 100)
        assert [each.content for each in await client.backlog(house.room, limit=2)] == ["4", "5"]
        older = await client.backlog(house.room, before_seq=5, limit=3)
        assert [each.content for each in older] == ["1", "2", "3"]
        assert len(await client.messages(house.room)) == 5


async def test_an_access_token_that_has_ended_is_renewed_without_a_word(house: House) -> None:
    async with house.logged_in() as client:
        login = client._api.login
        await client._logins.save(msgspec.structs.replace(login, access_token=ENDED))
        with anyio.fail_after(LIMIT_S):
            await client.send(house.room, "hello").sent()
        assert client._api.login.access_token not in {ENDED, login.access_token}
    async with house.client() as client:
        await until(lambda: client.is_connected)


async def test_a_session_that_was_ended_elsewhere_keeps_what_waits_until_the_next_login(house: House) -> None:
    async with house.logged_in() as client:
        heard = client.events()
        await until(lambda: client.is_connected)
        client.go_offline()
        receipt = client.send(house.room, "later")
        await client._api.call("POST", "/v1/auth/logout")
        client.go_online()
        await the_next(heard, SessionExpired)
        assert not client.is_logged_in
        await client.login("ann", PASSWORD)
        with anyio.fail_after(LIMIT_S):
            await receipt.sent()
    assert await anyio.to_thread.run_sync(house.contents) == ["later"]


async def test_a_room_made_meanwhile_is_followed(house: House) -> None:
    async with house.logged_in() as client:
        heard = client.events()
        await until(lambda: house.space in client._cache.positions)
        made = await client.call(
            "POST", f"/v1/spaces/{house.space}/rooms", {"client_id": f"new-{house.room}", "name": "second"}
        )
        await the_next(heard, SpaceChanged, lambda event: event.kind == "room.created")
        await until(lambda: made["id"] in client._cache.positions)
        assert made["id"] in {each.id for each in await client.rooms()}


async def test_a_space_joined_on_another_device_is_followed(house: House) -> None:
    async with house.logged_in("bob") as client:
        heard = client.events()
        await until(lambda: client.user_id in client._cache.positions)
        made = await anyio.to_thread.run_sync(
            lambda: house.bob_http.post(
                "/v1/spaces", json={"client_id": f"o-{house.room}", "name": "Own"}
            ).json()
        )
        await the_next(heard, UserChanged, lambda event: event.what.kind == "space.joined")
        await until(lambda: made["id"] in client._cache.positions)
        assert (await client.space(made["id"])).settings["name"] == "Own"
        assert {made["id"], house.space} <= {each.id for each in await client.spaces()}


async def test_what_is_sent_through_a_line_that_breaks_again_and_again_arrives_once_and_in_order(
    house: House,
) -> None:
    texts = [f"message {number}" for number in range(30)]
    async with cut_proxy(house.url) as proxy, house.logged_in(url=proxy.url) as client:
        receipts = [client.send(house.room, text) for text in texts]
        with anyio.fail_after(LIMIT_S):
            for place, receipt in enumerate(receipts):
                if place % 5 == 0:
                    proxy.cut()
                await receipt.sent()
        assert await anyio.to_thread.run_sync(house.contents) == texts
        await until(lambda: client._cache.positions.get(house.room, Position("", 0)).seq == len(texts))
        shown = await client.messages(house.room)
    assert [(each.content, each.state) for each in shown] == [(text, "sent") for text in texts]

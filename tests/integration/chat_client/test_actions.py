"""What a client does reaches the server, once and in order; offline it is shown at once and done later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from tests.integration.chat_client.conftest import House

LIMIT_S = 30.0


async def test_messages_come_in_the_order_in_which_they_were_sent(house: House) -> None:
    async with house.logged_in() as client:
        with anyio.fail_after(LIMIT_S):
            receipts = [client.send(house.room, f"message {number}") for number in range(20)]
            answers = [await receipt.sent() for receipt in receipts]
        assert await anyio.to_thread.run_sync(house.contents) == [f"message {number}" for number in range(20)]
        assert [answer["client_id"] for answer in answers] == [receipt.client_id for receipt in receipts]


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

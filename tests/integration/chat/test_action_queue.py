from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from chat.errors import ClientIdConflict, QueueClosed, QueueFull
from tests.support.chat_queue import Server, message, opened

if TYPE_CHECKING:
    from pathlib import Path


async def test_an_action_is_delivered_and_its_receipt_holds_the_answer(tmp_path: Path) -> None:
    async with opened(tmp_path, Server()) as queue:
        receipt = await queue.enqueue(message("hello"))

        assert await receipt.sent() == {"seq": 1}


async def test_actions_of_one_room_are_delivered_in_order(tmp_path: Path) -> None:
    server = Server()
    async with opened(tmp_path, server) as queue:
        receipts = [queue.put(message(str(number))) for number in range(100)]
        for receipt in receipts:
            await receipt.sent()

    assert server.seen == [str(number) for number in range(100)]


async def test_what_was_stored_before_a_stop_is_delivered_after_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        receipts = [await queue.enqueue(message(str(number))) for number in range(30)]
        async with anyio.create_task_group() as group:

            async def wait_for_the_end() -> None:
                with pytest.raises(QueueClosed):
                    await receipts[0].sent()

            group.start_soon(wait_for_the_end)
            await anyio.wait_all_tasks_blocked()
            queue._engine.close()

    server = Server()
    async with opened(tmp_path, server) as queue:
        await (await queue.enqueue(message("last"))).sent()

    assert server.seen == [*map(str, range(30)), "last"]


async def test_the_same_client_id_is_stored_once_and_never_for_another_payload(tmp_path: Path) -> None:
    server = Server()
    async with opened(tmp_path, server) as queue:
        await queue.enqueue(message("once"), client_id="draft-1")
        receipt = await queue.enqueue(message("once"), client_id="draft-1")
        with pytest.raises(ClientIdConflict):
            await queue.enqueue(message("other"), client_id="draft-1")
        assert receipt.client_id == "draft-1"
        await (await queue.enqueue(message("last"))).sent()

    assert server.seen == ["once", "last"]


async def test_a_full_queue_names_its_limit_and_takes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, max_waiting_count=3) as queue:
        for number in range(3):
            await queue.enqueue(message(str(number)))
        with pytest.raises(QueueFull, match="Please try again later") as caught:
            await queue.enqueue(message("one too many"))

    assert (caught.value.limit, caught.value.size) == (3, 3)


async def test_an_action_that_is_already_done_is_known_to_be_when_it_comes_again(tmp_path: Path) -> None:
    server = Server()
    async with opened(tmp_path, server) as queue:
        await (await queue.enqueue(message("once"), client_id="draft-1")).sent()
        again = await queue.enqueue(message("once"), client_id="draft-1")

        assert await again.sent() == {"seq": 1}
    assert server.seen == ["once"]

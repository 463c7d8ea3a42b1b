from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from chat.errors import (
    ActionFailed,
    ActionNotFound,
    ClientIdConflict,
    InvalidAction,
    Permanent,
    QueueClosed,
    QueueFull,
    Transient,
)
from chat.testing import Accept, Hold
from tests.support.chat_queue import message, opened
from tests.support.loops import one_loop

if TYPE_CHECKING:
    from pathlib import Path


async def test_an_action_is_delivered_and_its_receipt_holds_the_answer(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        receipt = await bench.queue.enqueue(message("hello"))

        assert await receipt.sent() == {"seq": 1}
        assert await bench.kinds(receipt.client_id) == ["queued", "calling", "done"]


async def test_a_hundred_quick_messages_are_all_sent_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        receipts = [bench.queue.put(message(str(number))) for number in range(100)]
        for receipt in receipts:
            await receipt.sent()

        assert bench.contents() == [str(number) for number in range(100)]


async def test_one_that_meets_a_server_error_once_is_called_twice_and_sent(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Transient(status=500))
        receipt = await bench.queue.enqueue(message("hello"))
        (*_, event) = await bench.until("retry_wait")
        assert (event.attempts, event.wait_ms) == (1, 1000)
        bench.clock.advance(seconds=1)

        await receipt.sent()
        assert bench.called() == ["hello", "hello"]
        assert bench.contents() == ["hello"]


async def test_a_failed_try_is_repeated_though_nothing_else_is_ever_enqueued(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Transient(status=500), Transient(status=500))
        receipt = await bench.queue.enqueue(message("alone"))
        for wait_s in (1, 2):
            await bench.until("retry_wait", times=wait_s)
            bench.clock.advance(seconds=wait_s)

        assert await receipt.sent() == {"seq": 1}


async def test_a_server_that_always_fails_is_called_three_times_and_the_next_message_goes_on(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(*[Transient(status=500)] * 3)
        first = await bench.queue.enqueue(message("first"))
        second = await bench.queue.enqueue(message("second"))
        for wait_s in (1, 2):
            await bench.until("retry_wait", times=wait_s)
            bench.clock.advance(seconds=wait_s)

        with pytest.raises(ActionFailed, match="500") as caught:
            await first.sent()
        await second.sent()
        assert caught.value.failure is not None
        assert bench.called() == ["first", "first", "first", "second"]


async def test_order_is_kept_while_the_first_one_waits_to_be_tried_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Transient(status=500))
        receipts = [bench.queue.put(message(str(number))) for number in range(20)]
        await bench.until("retry_wait")
        bench.clock.advance(seconds=1)
        for receipt in receipts:
            await receipt.sent()

        assert bench.contents() == [str(number) for number in range(20)]


async def test_a_room_that_waits_does_not_hold_up_another_one(tmp_path: Path) -> None:
    async with opened(tmp_path, max_waiting_count=2_000) as bench:
        bench.server.always(
            lambda delivery: Transient(status=500) if delivery.payload.room_id == "bad" else Accept()
        )
        for number in range(1_000):
            bench.queue.put(message(str(number), room="bad"))
        for number in range(50):
            await (await bench.queue.enqueue(message(str(number), room=f"good {number % 7}"))).sent()

        assert len(bench.server.calls) - 50 <= 3


@one_loop
async def test_what_was_stored_before_a_stop_is_delivered_after_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        receipts = [await bench.queue.enqueue(message(str(number))) for number in range(30)]
        async with anyio.create_task_group() as group:

            async def wait_for_the_end() -> None:
                with pytest.raises(QueueClosed):
                    await receipts[0].sent()

            group.start_soon(wait_for_the_end)
            await anyio.wait_all_tasks_blocked()
            bench.queue._engine.close()

    async with opened(tmp_path) as bench:
        await (await bench.queue.enqueue(message("last"))).sent()

        assert bench.contents() == [*map(str, range(30)), "last"]


@one_loop
async def test_the_same_client_id_is_stored_once_and_never_for_another_payload(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        first = bench.queue.put(message("once"), client_id="draft-1")
        again = bench.queue.put(message("once"), client_id="draft-1")
        other = bench.queue.put(message("other"), client_id="draft-1")

        assert await again.sent() == await first.sent() == {"seq": 1}
        with pytest.raises(ClientIdConflict):
            await other.durable()
        assert bench.called() == ["once"]


@one_loop
async def test_an_action_that_is_done_is_known_to_be_when_it_comes_again_after_a_restart(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as bench:
        await (await bench.queue.enqueue(message("once"), client_id="draft-1")).sent()
    async with opened(tmp_path) as bench:
        again = await bench.queue.enqueue(message("once"), client_id="draft-1")

        assert await again.sent() == {"seq": 1}
        assert bench.called() == []


@one_loop
async def test_a_full_queue_names_its_limit_and_takes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False, max_waiting_count=3) as bench:
        for number in range(3):
            await bench.queue.enqueue(message(str(number)))
        with pytest.raises(QueueFull, match=r"^Action queue is full. Please try again later.$") as caught:
            await bench.queue.enqueue(message("one too many"))

        assert (caught.value.limit, caught.value.size) == (3, 3)
        bench.queue.handle_all(bench.server)
        await bench.until("done", times=3)
        await (await bench.queue.enqueue(message("now"))).sent()


async def test_too_many_on_the_way_to_the_disk_are_refused_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, max_unwritten_count=2) as bench:
        bench.queue.put(message("1"))
        bench.queue.put(message("2"))
        with pytest.raises(QueueFull):
            bench.queue.put(message("3"))


async def test_one_process_delivers_as_many_at_once_as_it_may(tmp_path: Path) -> None:
    async with opened(tmp_path, concurrency=3) as bench:
        release = anyio.Event()
        bench.server.always(lambda _: Hold(release))
        receipts = [bench.queue.put(message("x", room=str(number))) for number in range(10)]
        await bench.server.until_called(3)
        await anyio.wait_all_tasks_blocked()
        calls_count = len(bench.server.calls)
        release.set()
        for receipt in receipts:
            await receipt.sent()

        assert calls_count == 3


async def test_with_a_concurrency_of_one_all_goes_strictly_one_by_one(tmp_path: Path) -> None:
    async with opened(tmp_path, concurrency=1) as bench:
        under_way: list[int] = []
        most = 0

        async def deliver(_: object) -> None:
            nonlocal most
            under_way.append(1)
            most = max(most, len(under_way))
            await anyio.lowlevel.checkpoint()
            under_way.pop()

        bench.queue.handle("send-message", deliver)
        for receipt in [bench.queue.put(message("x", room=str(number))) for number in range(20)]:
            await receipt.sent()

        assert most == 1


@one_loop
async def test_what_can_not_be_stored_is_refused_by_the_call_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        with pytest.raises(InvalidAction):
            bench.queue.put(message("half a pair: \ud800"))
        with pytest.raises(InvalidAction):
            bench.queue.put(message("x" * 1_100_000))
        with pytest.raises(InvalidAction):
            bench.queue.put(message("x"), client_id="")
        with pytest.raises(ActionNotFound):
            await bench.queue.find("nobody")


@one_loop
async def test_the_payload_is_wiped_when_the_action_is_done(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        receipt = await bench.queue.enqueue(message("secret"))
        before = await bench.queue.find(receipt.client_id)
        await receipt.sent()
        after = await bench.queue.find(receipt.client_id)

        assert before.payload in {message("secret"), None}
        assert (after.payload, after.result, after.state) == (None, {"seq": 1}, "done")


@pytest.mark.parametrize(
    "odd",
    [
        {"client_id": "half \ud800"},
        {"client_id": "nul \0"},
        {"account": "half \ud800"},
        {"delay_s": math.nan},
        {"delay_s": 1e18},
        {"max_attempts": 0},
        {"max_attempts": 10**30},
        {"after": "one text"},
        {"after": ["half \ud800"]},
        {"after": [str(number) for number in range(1_001)]},
        {"account": "x" * 1_001},
    ],
    ids=lambda odd: ascii(odd)[2:24],
)
@one_loop
async def test_an_option_that_makes_no_sense_is_refused_by_the_call_itself(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    async with opened(tmp_path) as bench:
        with pytest.raises(InvalidAction):
            bench.queue.put(message("1"), **odd)
        await (await bench.queue.enqueue(message("2"))).sent()


@one_loop
async def test_the_same_client_id_is_done_once_even_after_the_queue_has_forgotten_it(tmp_path: Path) -> None:
    async with opened(tmp_path, prune_every_s=10) as bench:
        await (await bench.queue.enqueue(message("once"), client_id="draft-1")).sent()
        bench.clock.advance(seconds=8 * 86_400)
        with anyio.fail_after(10):
            while (await bench.queue.statistics()).total:
                bench.clock.advance(seconds=11)
                await anyio.lowlevel.checkpoint()
            again = await bench.queue.enqueue(message("once"), client_id="draft-1")

            assert await again.sent() == {"seq": 1}
        assert bench.contents() == ["once"]


async def test_who_waits_for_an_action_that_was_cleared_away_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path, prune_every_s=10) as bench:
        receipt = await bench.queue.enqueue(message("1"))
        await bench.until("done")
        bench.clock.advance(seconds=2 * 86_400)
        with anyio.fail_after(10):
            while (await bench.queue.statistics()).total:
                bench.clock.advance(seconds=11)
                await anyio.lowlevel.checkpoint()
            with pytest.raises(ActionNotFound):
                await receipt.sent()


@one_loop
async def test_no_more_finished_actions_are_kept_than_may_be_of_any_kind(tmp_path: Path) -> None:
    async with opened(tmp_path, max_finished_count=5, prune_every_s=10, max_waiting_count=100) as bench:
        bench.server.always(
            lambda each: Accept() if each.payload.room_id == "good" else Permanent(status=403)
        )
        for number in range(20):
            bench.queue.put(message(str(number), room="good"))
            bench.queue.put(message(str(number), room="bad"))
        with anyio.fail_after(10):
            await bench.until("done", times=20)
            await bench.until("failed", times=20)
            while (await bench.queue.statistics()).total > 10:
                bench.clock.advance(seconds=11)
                await anyio.lowlevel.checkpoint()
        left = await bench.queue.some()

        assert [each.payload.content for each in left if each.state == "failed"] == [
            str(n) for n in range(15, 20)
        ]

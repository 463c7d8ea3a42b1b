"""Offline and online: what shows that there is contact, and that no word of it gets lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from chat.errors import ActionCancelled, DeliveryError, RateLimited, TargetGone, Unreachable
from chat.queue.payloads import React
from chat.testing import Hold
from tests.support.chat_queue import message, opened, passing_time
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


async def test_being_online_again_is_not_missed_while_a_turn_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        runner = bench.queue._engine.runner
        steps: list[str] = []

        def on_step(step: str) -> None:
            steps.append(step)
            if step == "turning" and not bench.queue.is_online:
                bench.queue.go_online()

        release = anyio.Event()
        bench.server.script(Hold(release))
        bench.queue.put(message("held", room="held"))
        await bench.server.until_called()
        bench.queue.go_offline()
        waiting = await bench.queue.enqueue(message("1"))
        runner._on_step = on_step
        await (
            bench.queue.resume_account()
        )  # it makes the queue look, though offline, so that a turn is written
        with anyio.fail_after(10):
            await waiting.sent()
        release.set()

        assert "turning" in steps


async def test_being_online_again_is_not_missed_while_the_last_call_still_fails(tmp_path: Path) -> None:
    async with opened(tmp_path, lease_s=3_600) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release, then=Unreachable()))
        first = await bench.queue.enqueue(message("1"))
        await bench.server.until_called()
        bench.queue.go_offline()
        release.set()
        bench.queue.go_online()
        async with passing_time(bench.clock):
            with anyio.fail_after(10):
                await first.sent()

        assert bench.called() == ["1", "1"]


async def test_what_ends_without_a_call_does_not_show_that_there_is_contact(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.always(lambda _: Unreachable())
        first = bench.queue.put(message("1"))
        await until(lambda: not bench.queue.is_online)
        gone = bench.queue.put(message("2", room="b"))
        pointless = bench.queue.put(React(room_id="a", message_id="m", emoji="+1"))
        await pointless.durable()
        assert await bench.queue.cancel(gone.client_id) == "cancelled"
        with anyio.fail_after(10), pytest.raises(ActionCancelled):
            await gone.sent()
        bench.clock.advance(seconds=86_500)
        with anyio.fail_after(10):
            await bench.until("expired")

        assert not bench.queue.is_online
        assert (await bench.queue.find(first.client_id)).attempts == 0


@pytest.mark.parametrize("said", [RateLimited(retry_after_s=1.0), TargetGone()], ids=["busy", "gone"])
async def test_a_server_that_says_anything_at_all_is_there(tmp_path: Path, said: DeliveryError) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Unreachable(), said)
        bench.queue.put(message("1"))
        await until(lambda: not bench.queue.is_online)
        bench.clock.advance(seconds=1)
        await until(lambda: bench.queue.is_online)

        assert len(bench.server.calls) >= 2


async def test_a_probe_that_breaks_is_asked_again_and_the_queue_goes_on(tmp_path: Path) -> None:
    asked: list[int] = []

    async def probe() -> bool:
        asked.append(len(asked))
        if len(asked) == 1:
            raise OSError("no route")
        return True

    async with opened(tmp_path, probe=probe, lease_s=3_600) as bench:
        bench.server.script(Unreachable())
        receipt = await bench.queue.enqueue(message("1"))
        await until(lambda: not bench.queue.is_online)
        async with passing_time(bench.clock):
            with anyio.fail_after(10):
                await receipt.sent()

    assert asked == [0, 1]


async def test_taking_back_what_was_claimed_is_answered_though_contact_was_lost_before_its_turn(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as bench:
        release = anyio.Event()
        receipts = [bench.queue.put(message(str(number))) for number in range(3)]
        bench.server.script(Hold(release, then=Unreachable()))
        await bench.server.until_called()
        answers: list[str] = []
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                answers.append(await bench.queue.cancel(receipts[1].client_id))

            group.start_soon(cancel)
            await until(
                lambda: any(lane.withdrawn for lane in bench.queue._engine.runner._lanes.by_id.values())
            )
            bench.server.always(lambda _: Unreachable())
            release.set()
            with anyio.fail_after(10):
                await until(lambda: bool(answers))

        assert answers == ["cancelled"]
        assert not bench.queue.is_online

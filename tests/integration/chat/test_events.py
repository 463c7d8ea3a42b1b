from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from chat.errors import Transient
from chat.testing import Hold
from tests.support.chat_queue import message, opened, passing_time
from tests.support.loops import one_loop
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from chat.queue.events import Event
    from chat.queue.views import Statistics


async def test_a_reader_misses_nothing_and_gets_nothing_twice_over_restarts(tmp_path: Path) -> None:
    seen: list[Event] = []
    async with opened(tmp_path) as bench:
        for number in range(5):
            await (await bench.queue.enqueue(message(str(number)))).sent()
        async for event in bench.queue.follow_events(await bench.queue.cursor("ui")):
            seen.append(event)
            if len(seen) == 7:
                break
        await bench.queue.move_cursor("ui", seen[-1].seq)
    async with opened(tmp_path) as bench:
        last = await bench.queue.enqueue(message("last"))
        async for event in bench.queue.follow_events(await bench.queue.cursor("ui")):
            seen.append(event)
            if (event.client_id, event.kind) == (last.client_id, "done"):
                break

    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert [event.kind for event in seen] == ["queued", "calling", "done"] * 6


async def test_a_follower_hears_of_what_happens_while_it_waits(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        heard: list[str] = []
        newest = await bench.queue.newest_event()

        async def listen() -> None:
            async for event in bench.queue.follow_events(newest):
                heard.append(event.kind)  # noqa: PERF401 - it is looked at meanwhile

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            await (await bench.queue.enqueue(message("1"))).sent()
            await until(lambda: heard == ["queued", "calling", "done"])
            group.cancel_scope.cancel()


@one_loop
async def test_events_tell_what_was_sent_where_and_what_went_wrong(tmp_path: Path) -> None:
    async with opened(tmp_path, lease_s=3_600) as bench, passing_time(bench.clock, step_s=0.05):
        bench.server.script(Transient("overloaded", status=503))
        await (await bench.queue.enqueue(message("1"), account="ann")).sent()
        events = await bench.events()

        waiting = next(event for event in events if event.kind == "retry_wait")
        assert waiting.failure is not None
        assert (waiting.account, waiting.lane, waiting.type) == ("ann", "messages/ann/a", "send-message")
        assert (waiting.failure.text, waiting.attempts) == ("503: overloaded", 1)
        assert events[-1].result == {"seq": 1}


async def test_statistics_are_told_after_a_change_and_count_each_action_once(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        told: list[Statistics] = []

        async def listen() -> None:
            async for statistics in bench.queue.follow_statistics():
                told.append(statistics)  # noqa: PERF401 - likewise

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await until(lambda: len(told) == 1)
            release = anyio.Event()
            for number in range(10):
                bench.queue.put(message(str(number)))
            await until(lambda: told[-1].pending == 10)
            bench.server.script(Hold(release))
            bench.queue.handle_all(bench.server)
            await until(lambda: told[-1].processing == 1)
            release.set()
            await until(lambda: told[-1].completed == 10)
            group.cancel_scope.cancel()

        assert {each.total for each in told[2:]} == {10}
        assert told[-1].pending == told[-1].processing == told[-1].failed == 0


@one_loop
async def test_old_events_and_actions_go_when_their_time_is_over_but_not_what_a_reader_still_needs(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, keep_done_s=100, keep_failed_s=1000, prune_every_s=10) as bench:
        await bench.queue.move_cursor("slow", 0)
        await (await bench.queue.enqueue(message("1"))).sent()
        bench.clock.advance(seconds=101)
        await _until_counted(bench.queue.statistics, 0)
        kept = len(await bench.events())
        await bench.queue.move_cursor("slow", 3)
        bench.clock.advance(seconds=11)
        while len(await bench.events()) > 1:
            bench.clock.advance(seconds=11)
            await anyio.lowlevel.checkpoint()
        left = [event.seq for event in await bench.events()]
        await (await bench.queue.enqueue(message("2"))).sent()

        assert kept == 3
        assert left == [3]
        assert [event.seq for event in await bench.events()][-3:] == [4, 5, 6]  # by now 3 may have gone, too


@one_loop
async def test_the_event_log_never_grows_past_its_limit_whatever_its_readers_do(tmp_path: Path) -> None:
    async with opened(tmp_path, max_event_count=50, prune_every_s=10) as bench:
        await bench.queue.move_cursor("asleep", 0)
        for number in range(100):
            bench.queue.put(message(str(number)))
        await bench.until("done", times=100)
        while len(await bench.events()) > 50:
            bench.clock.advance(seconds=11)
            await anyio.lowlevel.checkpoint()


@one_loop
async def test_empty_lanes_are_cleared_away_and_come_back_when_they_are_needed(tmp_path: Path) -> None:
    async with opened(tmp_path, keep_done_s=100, prune_every_s=10) as bench:
        for number in range(20):
            await (await bench.queue.enqueue(message("1", room=str(number)))).sent()
        bench.clock.advance(seconds=111)
        await _until_counted(bench.queue.statistics, 0)
        await (await bench.queue.enqueue(message("2", room="5"))).sent()


async def _until_counted(statistics: object, total: int) -> None:
    while (await statistics()).total != total:  # type: ignore[operator]  # a method
        await anyio.lowlevel.checkpoint()

"""Several owners of one queue file; each queue object has connections, claims and a socket of its own."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import structlog.testing

from chat.errors import Transient
from chat.queue.lanes import CAREFUL_COUNT
from chat.testing import Hold, ManualClock, ScriptedServer
from tests.support.chat_queue import Bench, message, opened
from tests.support.loops import one_loop
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_one_enqueues_another_delivers_without_waiting_for_its_next_look(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as follower, opened(tmp_path) as worker:
        receipt = await follower.queue.enqueue(message("1"))

        assert await receipt.sent() == {"seq": 1}
        assert worker.called() == ["1"]


async def test_several_deliver_each_action_once_and_each_room_in_order(tmp_path: Path) -> None:
    server = ScriptedServer()
    async with AsyncExitStack() as stack:
        benches = [
            await stack.enter_async_context(opened(tmp_path, server, max_waiting_count=5_000))
            for _ in range(3)
        ]
        receipts = []
        for number in range(150):
            bench = benches[number % 3]
            receipts.append(await bench.queue.enqueue(message(f"{number}", room=f"{number % 7}")))
        for receipt in receipts:
            await receipt.sent()

    assert len(server.calls) == 150
    for room in range(7):
        sent = [each.payload.content for each in server.effects if each.payload.room_id == f"{room}"]
        assert sent == [f"{number}" for number in range(150) if number % 7 == room]


async def test_one_can_take_back_what_another_is_about_to_deliver(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as follower, opened(tmp_path) as worker:
        release = anyio.Event()
        worker.server.script(Hold(release))
        first = await follower.queue.enqueue(message("1"))
        await worker.server.until_called()
        second = await follower.queue.enqueue(message("2"))
        third = await follower.queue.enqueue(message("3"))
        too_late = await follower.queue.cancel(first.client_id, redact=False)
        in_time = await follower.queue.cancel(second.client_id)
        release.set()
        await third.sent()

    assert (too_late, in_time) == ("too_late", "cancelled")
    assert worker.called() == ["1", "3"]


class Frozen:
    """A handler that hangs, as in a process that was stopped."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.wake = anyio.Event()

    async def deliver(self, _: object) -> Any:
        self.begun.set()
        await self.wake.wait()
        return {"from": "the frozen one"}


async def frozen_with(bench: Bench) -> Frozen:
    """Have `bench` hang in the middle of its first action, and never renew its claim."""
    frozen = Frozen()
    await bench.queue.enqueue(message("1"), client_id="deadly")
    bench.queue.handle("send-message", frozen.deliver)
    await frozen.begun.wait()
    bench.queue.go_offline()  # it claims nothing more

    async def renew(leases: list[tuple[int, int]], _: int) -> frozenset[int]:
        return frozenset(lane for lane, _ in leases)  # it believes that it did

    bench.queue._engine._outbox.renew = renew  # type: ignore[assignment, method-assign]
    return frozen


async def test_a_frozen_worker_that_comes_back_after_its_lease_is_ignored(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock, handles=False, call_timeout_s=600) as sleeper:
        frozen = await frozen_with(sleeper)
        async with opened(tmp_path, clock=clock, lease_s=60) as worker:
            second = await worker.queue.enqueue(message("2"))
            clock.advance(seconds=59)
            await anyio.wait_all_tasks_blocked()
            before = worker.called()
            clock.advance(seconds=2)
            await second.sent()
            frozen.wake.set()
            await until(lambda: not sleeper.queue._engine.runner._lanes.by_id)
            results = [event.result for event in await worker.events() if event.kind == "done"]

    assert before == []
    assert worker.called() == ["1", "2"]
    assert results == [{"seq": 1}, {"seq": 2}]


@one_loop
async def test_a_crash_costs_the_head_an_attempt_and_the_next_claims_are_careful(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock, handles=False, call_timeout_s=600) as sleeper:
        frozen = await frozen_with(sleeper)
        async with opened(tmp_path, clock=clock) as worker:
            for number in range(2, 5):
                await worker.queue.enqueue(message(str(number)))
            last = await worker.queue.enqueue(message("5"))
            clock.advance(seconds=61)
            await last.sent()
            events = [event for event in await worker.events() if event.kind == "uncertain"]
            database = worker.queue._engine._tables._database
            (careful,) = await database.query("SELECT careful FROM lane")
        frozen.wake.set()

    assert [event.attempts for event in events] == [1]
    assert careful == (CAREFUL_COUNT - 5 + 1,)
    assert worker.server.asked == [events[0].client_id]


@one_loop
async def test_an_action_that_kills_its_process_every_time_is_given_up(tmp_path: Path) -> None:
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        for _ in range(3):
            sleeper = await stack.enter_async_context(
                opened(tmp_path, clock=clock, handles=False, call_timeout_s=600)
            )
            frozen = await frozen_with(sleeper)
            stack.callback(frozen.wake.set)
            clock.advance(seconds=61)
        worker = await stack.enter_async_context(opened(tmp_path, clock=clock))
        (*_, event) = await worker.until("failed")
        shown = await worker.queue.find(event.client_id or "")

    assert (shown.attempts, worker.called()) == (3, [])


async def test_a_dead_process_is_not_waited_out(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock, handles=False, call_timeout_s=600) as sleeper:
        frozen = await frozen_with(sleeper)
        peers = sleeper.queue._engine._peers
        assert peers._socket is not None
        peers._socket.close()  # as the kernel does
        peers._socket = None
        async with opened(tmp_path, clock=clock) as worker:
            await worker.until("done")
        frozen.wake.set()

    assert worker.called() == ["1"]


@one_loop
async def test_a_process_without_a_socket_is_never_taken_for_dead(tmp_path: Path, monkeypatch: Any) -> None:
    def no_sockets(*_: object) -> None:
        raise OSError("there are none")

    clock = ManualClock()
    with monkeypatch.context() as patch:
        patch.setattr("socket.socket", no_sockets)
        async with opened(tmp_path, clock=clock, handles=False, call_timeout_s=600) as sleeper:
            patch.undo()
            frozen = await frozen_with(sleeper)
            async with opened(tmp_path, clock=clock) as worker:
                clock.advance(seconds=30)
                await anyio.wait_all_tasks_blocked()
                assert worker.called() == []
                clock.advance(seconds=31)
                await worker.until("done")
            frozen.wake.set()


@pytest.fixture(params=[1, 90])
def folder(tmp_path: Path, request: Any) -> Path:
    made: Path = tmp_path / ("x" * request.param)
    made.mkdir()
    return made


@one_loop
async def test_hints_arrive_however_long_the_path_is(folder: Path) -> None:
    async with opened(folder, handles=False) as follower, opened(folder):
        await (await follower.queue.enqueue(message("1"))).sent()


@one_loop
async def test_a_queue_whose_folder_of_sockets_is_taken_away_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await bench.queue.put(message("1")).sent()
        await anyio.to_thread.run_sync(shutil.rmtree, tmp_path / "queue.db-peers")
        with structlog.testing.capture_logs() as logs:
            for number in range(2, 5):
                bench.clock.advance(seconds=2)
                await bench.queue.put(message(f"{number}")).sent()
                await until(lambda: any(log["event"] == "chat.peers_not_seen" for log in logs))

        assert bench.called() == ["1", "2", "3", "4"]


async def test_a_busy_file_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    async with (
        opened(tmp_path, busy_timeout_s=0.01) as first,
        opened(tmp_path, busy_timeout_s=0.01) as second,
    ):
        first.server.script(Transient(status=500))
        receipts = []
        for number in range(100):
            receipts.append(first.queue.put(message(str(number), room="a")))
            receipts.append(second.queue.put(message(str(number), room="b")))
        async with anyio.create_task_group() as group:

            async def pass_time() -> None:
                while True:
                    first.clock.advance(seconds=0.1)
                    second.clock.advance(seconds=0.1)
                    await anyio.sleep(0.001)

            group.start_soon(pass_time)
            for receipt in receipts:
                await receipt.sent()
            group.cancel_scope.cancel()


@one_loop
async def test_a_start_after_a_crash_logs_how_many_actions_it_took_over(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock, handles=False, call_timeout_s=600) as sleeper:
        for number in range(2, 5):
            await sleeper.queue.enqueue(message(str(number)))
        frozen = await frozen_with(sleeper)
        with structlog.testing.capture_logs() as logs:
            async with opened(tmp_path, clock=clock) as worker:
                clock.advance(seconds=61)
                await worker.until("done", times=4)
        frozen.wake.set()

    taken_over = [log["count"] for log in logs if log["event"] == "chat.actions_taken_over"]
    assert taken_over == [4]


async def test_a_worker_that_was_frozen_between_two_actions_does_not_begin_the_second_one(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock, call_timeout_s=600) as sleeper:
        release = anyio.Event()
        sleeper.server.script(Hold(release))
        for number in (1, 2):
            sleeper.queue.put(message(str(number)))
        await sleeper.server.until_called()
        tables = sleeper.queue._engine._tables
        thaw = anyio.Event()
        write, write_all = tables.write, tables.write_all

        async def frozen_write(*args: Any) -> Any:
            await thaw.wait()
            return await write(*args)

        async def frozen_write_all(*args: Any) -> Any:
            await thaw.wait()
            return await write_all(*args)

        tables.write = frozen_write  # type: ignore[method-assign, assignment]
        tables.write_all = frozen_write_all  # type: ignore[method-assign, assignment]
        clock.advance(seconds=61)
        release.set()  # it goes on before it can know that its claim has lapsed
        await until(lambda: not sleeper.queue._engine.runner._lanes.running)
        called = sleeper.called()
        thaw.set()
        with anyio.fail_after(10):
            await sleeper.until("done", times=2)

    assert called == ["1"]
    assert sleeper.contents() == ["1", "2"]


@one_loop
async def test_what_entered_a_lane_after_it_was_claimed_is_not_charged_for_the_crash_of_the_claim(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock, handles=False, call_timeout_s=600) as sleeper:
        late = await sleeper.queue.enqueue(message("late"), delay_s=5)
        frozen = await frozen_with(sleeper)
        async with opened(tmp_path, clock=clock) as entrant:
            clock.advance(seconds=5)
            database = entrant.queue._engine._tables._database
            with anyio.fail_after(10):
                while (await database.query("SELECT min(in_lane) FROM action")) == [(0,)]:
                    await anyio.lowlevel.checkpoint()
                clock.advance(seconds=57)
                await entrant.until("done", times=2)
            events = await entrant.events()
        frozen.wake.set()

    assert {each.attempts for each in events if each.client_id == late.client_id} == {0}
    assert {each.attempts for each in events if each.client_id == "deadly"} == {0, 1}


@one_loop
async def test_a_hundred_claims_that_lapsed_do_not_hide_what_can_be_done(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock=clock, handles=False, max_waiting_count=2_000) as bench:
        for number in range(150):
            bench.queue.put(message(str(number), room=f"old {number}"))
        fresh = await bench.queue.enqueue(message("fresh", room="new"))
        database = bench.queue._engine._tables._database
        await database.execute(
            "UPDATE lane SET owner = 's-dead', claim = 1, fence = 1, due_ms = ?, "
            "claimed_to = (SELECT max(id) FROM action WHERE lane_id = lane.id) WHERE key LIKE '%old%'",
            [clock.boot_ms() + 60_000],
        )
        bench.queue.handle_all(bench.server)
        with anyio.fail_after(10):
            await fresh.sent()
            before = len(bench.server.calls)
            clock.advance(seconds=61)
            await bench.until("done", times=151)

    assert before == 1
    assert len(bench.server.asked) == 150

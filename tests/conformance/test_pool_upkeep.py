"""How a pool keeps its workers: pings, spares, refreshed, retired and woken ones."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from structlog.testing import capture_logs

from tests.support.loops import one_loop
from tests.support.waiting import until
from workers import Kind, Pool, PoolSettings, ServiceUnavailable, TaskTimedOut, WorkerDied, open_pool

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

SERVICE = "tests.support.services:BenchService"
SLOW_SERVICE = "tests.support.services:SlowToBuild"


@pytest.fixture(params=["thread", "process"])
def isolated(request: pytest.FixtureRequest) -> Kind:
    """The kinds in which calls run beside the loop."""
    chosen: Kind = request.param
    return chosen


def opened(
    kind: Kind, options: dict[str, Any] | None = None, **numbers: Any
) -> AbstractAsyncContextManager[Pool]:
    settings = PoolSettings(kind=kind, **{"worker_count": 1, **numbers})
    return open_pool(SERVICE, options or {}, settings, name="bench", has_lanes=False)


async def called(pool: Pool, into: list[Any], method: str, params: Any = None, **how: Any) -> None:
    into.append(await pool.call(method, params, **how))


# -- pings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["inline", "thread", "process"])
async def test_every_worker_answers_a_ping(kind: Kind) -> None:
    async with opened(kind, worker_count=1 if kind == "inline" else 2) as pool:
        assert len(await pool.ping()) == pool.worker_count


async def test_a_process_answers_a_ping_while_a_call_runs() -> None:
    async with opened("process") as pool, anyio.create_task_group() as group:
        group.start_soon(called, pool, [], "wait", 60.0)
        await until(lambda: pool.statistics().in_flight_count == 1)
        assert len(await pool.ping()) == 1
        group.cancel_scope.cancel()


async def test_a_process_that_does_not_answer_a_ping_is_killed_and_replaced() -> None:
    async with opened("process", ping_every_s=0.02, ping_limit_s=0.1) as pool:
        before = await pool.call("pid")
        os.kill(before, signal.SIGSTOP)
        assert await pool.call("pid", idempotent=True) != before
        assert pool.statistics().unheard_count == 1


# -- what a service has started ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["killed", "timed out", "closed"])
@one_loop
async def test_what_a_service_has_started_ends_with_its_worker(how: str) -> None:
    async with opened("process", cancel_grace_s=0.02, terminate_grace_s=0.02) as pool:
        started = await pool.call("start_child")
        if how == "killed":
            os.kill(await pool.call("pid"), signal.SIGKILL)
        elif how == "timed out":
            with pytest.raises(TaskTimedOut):
                await pool.call("deaf", 60.0, timeout_s=0.05, idempotent=True)
        if how != "closed":
            await until(lambda: pool.statistics().restarts_count == 1)
            await until_gone(started)
    await until_gone(started)


async def until_gone(pid: int) -> None:
    """Return once the process `pid` is gone, or nobody's child any more and about to be."""
    with anyio.fail_after(20):
        while await anyio.to_thread.run_sync(is_running, pid):
            await anyio.lowlevel.checkpoint()


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# -- one of many ------------------------------------------------------------------------------------------------------


async def test_aborting_calls_that_wait_and_one_that_runs_leaves_the_later_ones_to_start(
    isolated: Kind,
) -> None:
    answers: list[Any] = []
    async with opened(isolated, window_count=1) as pool, anyio.create_task_group() as group:
        async with anyio.create_task_group() as aborted:
            for _ in range(3):
                aborted.start_soon(partial(called, pool, answers, "wait", 60.0, idempotent=True))
            await until(lambda: pool.statistics().waiting_count == 2)
            for number in range(3):
                group.start_soon(called, pool, answers, "echo", number)
            await until(lambda: pool.statistics().waiting_count == 5)
            aborted.cancel_scope.cancel()
        await until(lambda: len(answers) == 3)
    assert sorted(answers) == [0, 1, 2]


async def test_killing_a_worker_for_one_call_harms_none_of_those_that_wait_there() -> None:
    answers: list[Any] = []
    async with opened("process", cancel_grace_s=0.02, terminate_grace_s=0.02, recall_after_s=60.0) as pool:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(begun_in_vain, pool))
            await until(lambda: pool.statistics().in_flight_count == 1)
            for number in range(50):
                group.start_soon(called, pool, answers, "echo", number)
        assert sorted(answers) == list(range(50))
        assert pool.statistics().restarts_count == 1


async def begun_in_vain(pool: Pool) -> None:
    with pytest.raises(TaskTimedOut):
        await pool.call("deaf", 60.0, timeout_s=0.1, idempotent=True)


# -- refreshed --------------------------------------------------------------------------------------------------------


async def test_a_worker_is_replaced_after_so_many_calls_and_none_is_lost(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated, recycle_after_count=50, window_count=4) as pool:
        await pool.call("keep", ["state", "old"])
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(called, pool, answers, "echo", number)
        assert sorted(answers) == list(range(200))
        await until(lambda: pool.statistics().recycled_count >= 1)
        assert await pool.call("keep", ["state", "new"]) is None
        assert pool.statistics().restarts_count == 0


@one_loop
async def test_a_process_with_too_much_memory_is_replaced() -> None:
    async with opened("process", recycle_above_bytes=1, ping_every_s=0.02) as pool:
        before = await pool.call("pid")
        await until(lambda: pool.statistics().recycled_count >= 1)
        assert await pool.call("pid") != before


@one_loop
async def test_an_old_worker_serves_on_while_no_new_one_can_be_started(
    isolated: Kind, tmp_path: Path
) -> None:
    mark = anyio.Path(tmp_path / "broken")
    options = {"broken_mark": str(mark)}
    async with opened(isolated, options, recycle_after_count=1, spare_count=0) as pool:
        await mark.touch()
        for number in range(3):
            assert await pool.call("echo", number) == number
        await pool.call("keep", ["state", "old"])
        assert pool.statistics().recycled_count == 0
        await mark.unlink()
        while not pool.statistics().recycled_count:
            assert await pool.call("echo", "again") == "again"
        assert await pool.call("keep", ["state", "new"]) is None


async def test_a_worker_with_a_session_is_not_replaced_under_it(isolated: Kind) -> None:
    async with opened(isolated, recycle_after_count=1) as pool, pool.session() as session:
        await session.call("keep", ["state", "kept"])
        for _ in range(5):
            await pool.call("echo", 1)
        assert await session.call("keep", ["state", "kept"]) == "kept"


@one_loop
async def test_more_restarts_than_may_be_pause_the_pool_and_calls_are_told() -> None:
    async with opened("process", max_restarts_count=1, restart_window_s=60.0, breaker_count=3) as pool:
        for restarts_count in (0, 1):
            os.kill(await pool.call("pid"), signal.SIGKILL)
            if not restarts_count:
                await until(lambda: pool.statistics().restarts_count == 1)
        await until(lambda: pool.statistics().alive_count == 0)
        refusal: list[Exception] = []
        while not refusal:
            try:
                await pool.call("echo", 1, timeout_s=0.2)
            except TaskTimedOut:
                continue  # it was sent just before the pool saw that it has to pause
            except ServiceUnavailable as error:
                refusal.append(error)
        assert "died" in str(refusal[0])


@pytest.mark.parametrize("dies_too", [False, True])
@one_loop
async def test_a_successor_that_dies_before_its_turn_harms_nobody(*, dies_too: bool) -> None:
    others = await anyio.to_thread.run_sync(children_of, os.getpid())
    outcomes: list[Any] = []

    async def wait(pool: Pool) -> None:
        try:
            outcomes.append(await pool.call("wait", 60.0, idempotent=True))
        except WorkerDied:
            outcomes.append("died")

    async with opened("process", recycle_after_count=2) as pool:
        first = await pool.call("pid")
        async with anyio.create_task_group() as group:
            group.start_soon(wait, pool)
            await until(lambda: pool._dispatcher.slots[0].is_draining)
            (successor,) = await anyio.to_thread.run_sync(children_of, os.getpid()) - {first} - others
            os.kill(successor, signal.SIGKILL)
            await until(lambda: is_reaped(successor))
            if dies_too:
                os.kill(first, signal.SIGKILL)
                await until(lambda: bool(outcomes))
            group.cancel_scope.cancel()
        assert await pool.call("echo", 1) == 1
        assert outcomes == (["died"] if dies_too else [])


async def test_a_worker_that_runs_is_not_replaced_before_it_has_answered(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated, recycle_after_count=1) as pool, anyio.create_task_group() as group:
        group.start_soon(called, pool, answers, "deaf", 0.3)
        await until(lambda: pool.statistics().in_flight_count == 1)
        group.start_soon(partial(called, pool, answers, "echo", "next"))
    assert answers == ["waited", "next"]


# -- started ----------------------------------------------------------------------------------------------------------


async def test_a_worker_that_is_not_ready_in_time_is_given_up_and_nothing_is_left(
    isolated: Kind, tmp_path: Path
) -> None:
    mark = anyio.Path(tmp_path / "built")
    others = await anyio.to_thread.run_sync(children_of, os.getpid())
    settings = PoolSettings(kind=isolated, worker_count=1, start_timeout_s=0.5)
    with pytest.raises(ServiceUnavailable, match="within its time"):
        async with open_pool(SLOW_SERVICE, {"mark": str(mark)}, settings, name="slow"):
            pytest.fail("the pool opened")
    assert await anyio.to_thread.run_sync(children_of, os.getpid()) == others
    await mark.touch()  # a thread can't be stopped, and ends when its service is built
    await until(lambda: not any(each.name.startswith("slow-") for each in threading.enumerate()))


async def test_threads_that_never_become_ready_are_not_started_without_end(tmp_path: Path) -> None:
    mark = anyio.Path(tmp_path / "built")
    await mark.touch()
    settings = PoolSettings(
        kind="thread", worker_count=1, start_timeout_s=0.5, max_restart_delay_s=0.01, breaker_count=1_000,
        cancel_grace_s=0.02, terminate_grace_s=0.02,
    )  # fmt: skip
    with capture_logs() as logged:
        async with open_pool(SLOW_SERVICE, {"mark": str(mark)}, settings, name="slow") as pool:
            await mark.unlink()
            with pytest.raises(TaskTimedOut):
                await pool.call("deaf", str(mark), timeout_s=0.02, idempotent=True)
            await until(lambda: sum("told to end" in each.get("reason", "") for each in logged) >= 3)
            assert sum(each.name.startswith("slow-") for each in threading.enumerate()) == 2
            await mark.touch()
            assert await pool.call("echo", 1, timeout_s=10.0) == 1


# -- as many as needed ------------------------------------------------------------------------------------------------


async def test_workers_are_added_while_calls_wait_and_retired_when_idle(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated, worker_count=3, min_worker_count=1, idle_after_s=0.1, window_count=1) as pool:
        assert pool.statistics().alive_count == 1
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(called, pool, answers, "wait", 60.0)
            await until(lambda: pool.statistics().in_flight_count == 3)
            assert pool.statistics().alive_count == 3
            group.cancel_scope.cancel()
        await until(lambda: pool.statistics().alive_count == 1)
        assert await pool.call("echo", 1) == 1
        now = pool.statistics()
        assert (now.retired_count, now.restarts_count) == (2, 0)


async def test_one_worker_at_a_time_is_added_and_no_second_while_it_starts(isolated: Kind) -> None:
    async with opened(isolated, worker_count=3, min_worker_count=1, window_count=1) as pool:
        answers: list[Any] = []
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(called, pool, answers, "wait", 60.0)
            most = 0

            def both_run() -> bool:
                nonlocal most
                slots = pool._dispatcher.slots
                most = max(
                    most, sum(slot.is_dormant and (slot.is_starting or bool(slot.need)) for slot in slots)
                )
                return pool.statistics().in_flight_count == 2

            await until(both_run)
            assert most <= 1  # a thread may start between two looks
            assert pool.statistics().alive_count == 2
            group.cancel_scope.cancel()


async def test_a_pool_of_none_starts_its_first_worker_with_its_first_call(isolated: Kind) -> None:
    async with opened(isolated, worker_count=1, min_worker_count=0) as pool:
        assert pool.statistics().alive_count == 0
        assert await pool.call("echo", 1) == 1
        assert pool.statistics().alive_count == 1


# -- spares -----------------------------------------------------------------------------------------------------------


@one_loop
async def test_a_spare_takes_the_place_of_a_worker_that_is_killed() -> None:
    async with opened("process", spare_count=1, cancel_grace_s=0.02, terminate_grace_s=0.02) as pool:
        await until(lambda: pool.statistics().spares_count == 1)
        before = await pool.call("pid")
        with pytest.raises(TaskTimedOut):
            await pool.call("deaf", 60.0, timeout_s=0.05, idempotent=True)
        await until(lambda: pool.statistics().restarts_count == 1)
        assert await pool.call("pid") != before
        await until(lambda: pool.statistics().spares_count == 1)


@one_loop
async def test_a_spare_that_died_meanwhile_is_not_used() -> None:
    others = await anyio.to_thread.run_sync(children_of, os.getpid())  # servers of other tests, say
    async with opened("process", spare_count=1) as pool:
        first = await pool.call("pid")
        await until(lambda: pool.statistics().spares_count == 1)
        for pid in await anyio.to_thread.run_sync(children_of, os.getpid()) - {first} - others:
            os.kill(pid, signal.SIGKILL)
        os.kill(first, signal.SIGKILL)
        assert await pool.call("pid", idempotent=True) != first


def is_reaped(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def children_of(pid: int) -> set[int]:
    found = set()
    for entry in os.listdir("/proc"):  # noqa: PTH208 - a Path each is a waste
        try:
            with open(f"/proc/{entry}/stat") as file:  # noqa: PTH123
                if entry.isdigit() and int(file.read().rpartition(")")[2].split()[1]) == pid:
                    found.add(int(entry))
        except OSError:
            continue
    return found

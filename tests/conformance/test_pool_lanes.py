"""Who gets a worker when there are not enough: lanes, tenants, and calls that would be answered too late."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.support.loops import one_loop
from tests.support.services import Refused
from tests.support.waiting import until
from workers import Kind, Pool, PoolSaturated, PoolSettings, TaskTimedOut, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

SERVICE = "tests.support.services:BenchService"
BATCHES = "tests.support.services:BatchBench"
LONG_S = 20.0


@pytest.fixture(params=["thread", "process"])
def isolated(request: pytest.FixtureRequest) -> Kind:
    """The kinds in which calls run beside the loop."""
    chosen: Kind = request.param
    return chosen


def opened(
    kind: Kind, *, service: str = SERVICE, has_lanes: bool = True, **numbers: Any
) -> AbstractAsyncContextManager[Pool]:
    settings = PoolSettings(kind=kind, **{"worker_count": 1, **numbers})
    return open_pool(service, {}, settings, name="bench", has_lanes=has_lanes)


async def test_short_calls_go_to_each_worker_in_turn_where_that_is_wanted() -> None:
    async with opened("process", has_lanes=False, worker_count=2, balance="round-robin") as pool:
        pids = [await pool.call("pid") for _ in range(6)]
    assert len(set(pids)) == 2
    assert pids == [pids[0], pids[1]] * 3


async def told(pool: Pool, into: list[Any], tag: Any, method: str, params: Any = None, **how: Any) -> None:
    """Append `tag` when the call is answered, or its error."""
    try:
        await pool.call(method, params, **how)
        into.append(tag)
    except (PoolSaturated, TaskTimedOut) as error:
        into.append(error)


def begin(group: Any, pool: Pool, into: list[Any], tag: Any, *call: Any, **how: Any) -> None:
    async def run() -> None:
        await told(pool, into, tag, *call, **how)

    group.start_soon(run)


@asynccontextmanager
async def shut(pool: Pool, **how: Any) -> AsyncIterator[None]:
    """Keep a worker busy while this is entered, so that what is asked meanwhile waits in a known order."""
    gate = anyio.CancelScope()

    async def keep_busy() -> None:
        with gate, suppress(Refused):
            await pool.call("wait", LONG_S, idempotent=True, **how)

    async with anyio.create_task_group() as group:
        group.start_soon(keep_busy)
        await until(lambda: pool.statistics().in_flight_count == 1)
        yield
        gate.cancel()


# -- maintenance ------------------------------------------------------------------------------------------------------


async def test_maintenance_runs_in_a_worker_that_is_there_for_it_alone_and_only_while_there_is_some(
    isolated: Kind,
) -> None:
    with anyio.fail_after(LONG_S):
        async with opened(isolated, maintenance_count=1, idle_after_s=0.1) as pool:
            slot = pool._dispatcher.slots[1]
            assert slot.worker is None
            async with anyio.create_task_group() as group:
                group.start_soon(told, pool, [], 1, "wait", LONG_S)
                await until(lambda: pool.statistics().in_flight_count == 1)
                assert await pool.call("echo", 5, lane="maintenance", timeout_s=LONG_S) == 5
                group.cancel_scope.cancel()
            assert pool.statistics().alive_count == 1
            await until(lambda: slot.worker is None)


@one_loop
async def test_workers_that_take_long_calls_stand_back_where_cores_are_scarce() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    async with (
        opened("process", worker_count=2, maintenance_count=1) as pool,
        opened("process", worker_count=2, service=BATCHES, has_lanes=False) as batches,
    ):
        assert await pool.call("echo", 5, lane="maintenance", timeout_s=LONG_S) == 5
        assert [_niceness(slot) - own for slot in pool._dispatcher.slots] == [0, 5, 5]
        assert [_niceness(slot) - own for slot in batches._dispatcher.slots] == [0, 0]


def _niceness(slot: Any) -> int:
    return os.getpriority(os.PRIO_PROCESS, slot.worker.pid)


async def test_a_flood_of_maintenance_takes_no_worker_from_others(isolated: Kind) -> None:
    with anyio.fail_after(LONG_S):
        async with opened(isolated, maintenance_count=1) as pool, anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(
                    lambda: told(pool, [], 1, "wait", LONG_S, lane="maintenance", idempotent=True)
                )
            await until(lambda: pool.statistics().in_flight_count == 1)
            for number in range(100):
                assert await pool.call("echo", number) == number
            assert pool.statistics().in_flight_count == 1
            group.cancel_scope.cancel()


async def test_a_session_for_maintenance_stays_with_the_worker_that_was_started_for_it(
    isolated: Kind,
) -> None:
    with anyio.fail_after(LONG_S):
        async with (
            opened(isolated, maintenance_count=1, idle_after_s=0.1) as pool,
            pool.session(lane="maintenance") as session,
        ):
            assert await session.call("keep", ["a", 1]) is None
            assert await session.call("keep", ["a", 2]) == 1
            assert await pool.call("keep", ["a", 3]) is None  # another worker


async def test_maintenance_of_a_key_waits_for_the_calls_before_it_and_those_after_wait_for_it(
    isolated: Kind,
) -> None:
    answers: list[Any] = []
    with anyio.fail_after(LONG_S):
        async with (
            opened(isolated, service=BATCHES, worker_count=2, maintenance_count=1) as pool,
            anyio.create_task_group() as group,
            shut(pool, key="k"),
        ):
            begin(group, pool, answers, "maintenance", "wait", 0.05, key="k", lane="maintenance")
            await until(lambda: pool.statistics().waiting_count == 1)
            begin(group, pool, answers, "after", "echo", 1, key="k")
            await until(lambda: pool.statistics().waiting_count == 2)
            await pool.call("echo", 1, key="another")
            answers.append("another key")
    assert answers == ["another key", "maintenance", "after"]


async def test_without_workers_for_it_maintenance_is_a_scan() -> None:
    async with opened("inline", maintenance_count=1) as pool:
        assert await pool.call("echo", 1, lane="maintenance") == 1
        async with pool.session(lane="maintenance") as session:
            assert await session.call("echo", 2) == 2


@one_loop
async def test_each_worker_is_asked_and_one_that_is_busy_is_not_waited_for(isolated: Kind) -> None:
    with anyio.fail_after(LONG_S):
        async with opened(isolated, worker_count=3) as pool, anyio.create_task_group() as group:
            assert await pool.call_each("echo", "here") == ["here"] * 3
            group.start_soon(told, pool, [], 1, "wait", LONG_S)
            await until(lambda: pool.statistics().in_flight_count == 1)
            assert await pool.call_each("echo", "here", timeout_s=0.1) == ["here"] * 2
            group.cancel_scope.cancel()


# -- tenants ----------------------------------------------------------------------------------------------------------


@one_loop
async def test_a_tenant_with_a_hundred_calls_waiting_holds_up_another_s_for_one_of_them(
    isolated: Kind,
) -> None:
    answers: list[Any] = []
    with anyio.fail_after(LONG_S):
        async with (
            opened(isolated, window_count=1) as pool,
            anyio.create_task_group() as group,
            shut(pool, tenant="gate"),
        ):
            for number in range(100):
                begin(group, pool, answers, number, "echo", number, tenant="heavy")
            await until(lambda: pool.statistics().waiting_count == 100)
            for number in range(2):
                begin(group, pool, answers, "light", "echo", number, tenant="light")
            await until(lambda: pool.statistics().waiting_count == 102)
    assert answers[:4].count("light") == 2


@one_loop
async def test_scans_of_one_tenant_alternate_with_those_of_another(isolated: Kind) -> None:
    answers: list[Any] = []
    with anyio.fail_after(LONG_S):
        async with (
            opened(isolated, worker_count=2) as pool,
            anyio.create_task_group() as group,
            shut(pool, tenant="gate", lane="scan"),
        ):
            for number in range(8):
                begin(group, pool, answers, number, "echo", number, tenant="heavy", lane="scan")
            await until(lambda: pool.statistics().waiting_count == 8)
            begin(group, pool, answers, "light", "echo", 1, tenant="light", lane="scan")
            await until(lambda: pool.statistics().waiting_count == 9)
    assert answers.index("light") <= 1


@one_loop
async def test_a_tenant_whose_calls_fill_the_pool_does_not_get_another_refused(isolated: Kind) -> None:
    answers: list[Any] = []
    with anyio.fail_after(LONG_S):
        async with (
            opened(isolated, max_waiting_count=40, window_count=1) as pool,
            anyio.create_task_group() as group,
            shut(pool, tenant="heavy"),
        ):
            for number in range(60):
                begin(group, pool, answers, number, "echo", number, tenant="heavy")
            await until(lambda: len(answers) == 20)  # refused
            assert all(isinstance(one, PoolSaturated) for one in answers)
            for _ in range(5):
                begin(group, pool, answers, "light", "echo", 1, tenant="light")
            await until(lambda: pool.statistics().waiting_count == 45)
    assert answers.count("light") == 5


@one_loop
async def test_a_tenant_whose_new_calls_prove_slow_begins_them_as_scans_while_others_ask(
    isolated: Kind,
) -> None:
    async def ask(tenant: str, number: int) -> None:
        how: dict[str, Any] = {"fingerprint": (tenant, number), "tenant": tenant, "idempotent": True}
        assert await pool.call("wait", 0.06, **how) == "waited"

    with anyio.fail_after(LONG_S):
        async with opened(isolated, worker_count=2) as pool:
            for number in range(4):
                await ask("alone", number)
            assert pool.statistics().demoted_count == 4  # nobody else asks
            await pool.call("echo", 1, tenant="light")
            for number in range(10):
                await ask("heavy", number)
            assert 4 + 2 <= pool.statistics().demoted_count < 4 + 10


# -- time -------------------------------------------------------------------------------------------------------------


@one_loop
async def test_a_call_that_would_be_answered_too_late_is_refused_at_once_and_told_when_to_come(
    isolated: Kind,
) -> None:
    answers: list[Any] = []
    with anyio.fail_after(LONG_S):
        async with (
            opened(isolated, window_count=1, demote_after_s=60.0) as pool,
            anyio.create_task_group() as group,
        ):
            for number in range(40):
                begin(group, pool, answers, number, "wait", 0.01)
            await until(lambda: len(answers) >= 10)
            with pytest.raises(PoolSaturated) as caught:
                await pool.call("echo", 1, timeout_s=0.05)
            assert caught.value.reason == "no_time"
            assert caught.value.retry_after_s > 0
            assert await pool.call("echo", 1, timeout_s=LONG_S) == 1
            assert pool.statistics().rejected == {"no_time": 1}


async def test_an_idle_pool_refuses_nobody_however_short_the_time_and_slow_the_last_calls() -> None:
    async with opened("thread", worker_count=2) as pool:
        for _ in range(20):
            assert await pool.call("wait", 0.005) == "waited"
            assert await pool.call("echo", 1, timeout_s=0.5) == 1
        assert pool.statistics().rejected == {}

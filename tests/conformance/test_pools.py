"""What every kind of pool does alike: one suite for inline, thread and process, on asyncio and on trio."""

from __future__ import annotations

import gc
import os
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.support.cancelling import left_open_by_a_cancel_in_the_turn_of_the_answer
from tests.support.loops import one_loop
from tests.support.services import Refused
from tests.support.waiting import until
from workers import (
    Kind,
    Pool,
    PoolClosed,
    PoolSaturated,
    PoolSettings,
    ServiceUnavailable,
    TaskFailed,
    TaskTimedOut,
    WorkerDied,
    open_pool,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

SERVICE = "tests.support.services:BenchService"
BATCHES = "tests.support.services:BatchBench"


@pytest.fixture(params=["inline", "thread", "process"], scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(params=["thread", "process"])
def isolated(request: pytest.FixtureRequest) -> Kind:
    """The kinds in which calls run beside the loop."""
    chosen: Kind = request.param
    return chosen


def opened(
    kind: Kind,
    options: dict[str, Any] | None = None,
    *,
    service: str = SERVICE,
    drain_s: float = 5.0,
    **numbers: Any,
) -> AbstractAsyncContextManager[Pool]:
    settings = PoolSettings(kind=kind, **{"worker_count": 2, **numbers})
    return open_pool(service, options or {}, settings, name="bench", drain_s=drain_s)


@pytest.fixture(scope="module")
async def pool(
    anyio_backend: Any,  # noqa: ARG001 - on each loop
    kind: Kind,
) -> AsyncIterator[Pool]:
    """A pool for all tests that leave it as it was: two processes take longer to start than most of them."""
    async with opened(kind) as pool:
        yield pool


async def answer(pool: Pool, into: list[Any], method: str, params: Any = None, **how: Any) -> None:
    """Append the outcome of a call, result or error, to `into`."""
    try:
        into.append(await pool.call(method, params, **how))
    except Exception as error:  # noqa: BLE001 - the tests look at it
        into.append(error)


def begin(
    group: anyio.abc.TaskGroup, pool: Pool, into: list[Any], method: str, params: Any = None, **how: Any
) -> None:
    """Start a call whose outcome goes `into` a list."""
    group.start_soon(partial(answer, pool, into, method, params, **how))


def admitted_count(pool: Pool) -> int:
    now = pool.statistics()
    return now.waiting_count + now.in_flight_count + now.completed_count


# -- results ----------------------------------------------------------------------------------------------------------


async def test_a_value_comes_back_as_it_went(pool: Pool, kind: Kind) -> None:
    for value in (None, True, -(2**63), 2**63 - 1, 1.5, "é\x00", b"\x00\xff", [1, [2]], {"a": [None]}):
        assert await pool.call("echo", value) == value
    assert pool.kind == kind


async def test_a_thousand_calls_at_once_are_all_answered_and_none_is_refused(pool: Pool) -> None:
    answers: list[Any] = []
    before = pool.statistics().completed_count
    async with anyio.create_task_group() as group:
        for number in range(1_000):
            begin(group, pool, answers, "echo", number)
    assert sorted(answers) == list(range(1_000))
    assert pool.statistics().completed_count == before + 1_000


async def test_a_body_arrives_whole_whatever_its_size(pool: Pool) -> None:
    for size in (0, 10, 64 * 1024, 64 * 1024 + 1, 3_000_000):
        with await pool.call("body", [size, 3]) as body:
            assert body.length == 3 * size
            assert await body.read() == b"\0" * size + b"\1" * size + b"\2" * size


async def test_several_large_bodies_in_one_batch_keep_their_own_bytes(pool: Pool) -> None:
    bodies: list[Any] = []
    async with anyio.create_task_group() as group:
        for size in range(100_000, 100_100):
            begin(group, pool, bodies, "body", [size, 2])
    lengths = []
    for body in bodies:
        with body:
            whole = await body.read()
            assert whole == b"\0" * (body.length // 2) + b"\1" * (body.length // 2)
            lengths.append(body.length // 2)
    assert sorted(lengths) == list(range(100_000, 100_100))


# -- errors -----------------------------------------------------------------------------------------------------------


async def test_an_error_raised_on_purpose_keeps_its_type_and_details(pool: Pool) -> None:
    with pytest.raises(Refused, match="refused on purpose") as caught:
        await pool.call("refuse", {"limit": 3})
    assert caught.value.details == {"limit": 3}


async def test_an_unexpected_error_tells_its_caller_nothing_but_its_type(pool: Pool) -> None:
    with pytest.raises(TaskFailed) as caught:
        await pool.call("fail")
    assert "KeyError" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert await pool.call("echo", 1) == 1


async def test_parameters_that_cannot_be_sent_are_refused_and_take_no_place(pool: Pool) -> None:
    with pytest.raises(TypeError):
        await pool.call("echo", object())
    with pytest.raises(OverflowError):
        await pool.call("echo", 2**64)
    assert pool.statistics().waiting_bytes == 0
    assert await pool.call("echo", 1) == 1


async def test_a_result_that_cannot_be_sent_fails_alone() -> None:
    answers: list[Any] = []
    async with opened("process") as pool, anyio.create_task_group() as group:
        begin(group, pool, answers, "echo", 1)
        begin(group, pool, answers, "unencodable")
        begin(group, pool, answers, "echo", 2)
    assert sorted(one for one in answers if isinstance(one, int)) == [1, 2]
    assert sum(isinstance(one, TaskFailed) for one in answers) == 1


async def test_a_service_that_cannot_be_built_says_so_and_leaves_nothing_behind(kind: Kind) -> None:
    with pytest.raises(ServiceUnavailable, match="could not be built: RuntimeError"):
        async with opened(kind, {"broken": True}):
            pytest.fail("the pool opened")


async def test_an_error_in_the_body_of_the_pool_comes_out_unwrapped(kind: Kind) -> None:
    with pytest.raises(ZeroDivisionError):
        async with opened(kind, worker_count=1):
            raise ZeroDivisionError


# -- bounds -----------------------------------------------------------------------------------------------------------


async def test_with_a_bound_of_100_and_101_waiting_exactly_one_is_refused(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated, max_waiting_count=100) as pool:
        async with anyio.create_task_group() as group:
            for _ in range(2):
                begin(group, pool, answers, "wait", 30.0)
            await until(lambda: pool.statistics().in_flight_count == 2)
            for number in range(101):
                begin(group, pool, answers, "echo", number)
            await until(lambda: bool(answers))
            assert [type(one) for one in answers] == [PoolSaturated]
            assert answers[0].retry_after_s > 0
            assert pool.statistics().rejected == {"queue_full": 1}
            group.cancel_scope.cancel()
        await until(lambda: pool.statistics().in_flight_count == 0)
        assert await pool.call("echo", 1) == 1


async def test_calls_beyond_the_bound_are_answered_or_refused_and_none_hangs(kind: Kind) -> None:
    answers: list[Any] = []
    async with opened(kind, worker_count=1, max_waiting_count=100) as pool:
        async with anyio.create_task_group() as group:
            for number in range(500):
                begin(group, pool, answers, "echo", number)
        refused = sum(isinstance(one, PoolSaturated) for one in answers)
        assert len(answers) == 500
        assert refused == pool.statistics().rejected["queue_full"]
        assert refused + sum(isinstance(one, int) for one in answers) == 500


async def test_parameters_beyond_the_bound_of_bytes_are_refused(kind: Kind) -> None:
    async with opened(kind, worker_count=1, max_waiting_bytes=1_000) as pool:
        with pytest.raises(PoolSaturated) as caught:
            await pool.call("echo", b"x" * 2_000)
        assert caught.value.reason == "bytes_full"


# -- deadlines and cancellation ---------------------------------------------------------------------------------------


async def test_a_read_past_its_deadline_ends_and_frees_its_worker(isolated: Kind) -> None:
    async with opened(isolated, worker_count=1) as pool:
        with pytest.raises(TaskTimedOut) as caught:
            await pool.call("wait", 60.0, timeout_s=0.05, idempotent=True)
        assert caught.value.begun
        assert await pool.call("echo", "usable", timeout_s=5.0) == "usable"
        assert pool.statistics().interrupted_count == 1


async def test_a_call_whose_deadline_passes_while_it_waits_never_runs(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated, worker_count=1) as pool, anyio.create_task_group() as group:
        begin(group, pool, answers, "wait", 60.0)
        await until(lambda: pool.statistics().in_flight_count == 1)
        with pytest.raises(TaskTimedOut) as caught:
            await pool.call("keep", ["mark", 1], timeout_s=0.05)
        assert not caught.value.begun
        group.cancel_scope.cancel()


async def test_a_cancelled_read_is_interrupted(isolated: Kind, tmp_path: Path) -> None:
    began = tmp_path / "began"
    async with opened(isolated, worker_count=1) as pool:
        async with anyio.create_task_group() as group:
            begin(group, pool, [], "wait", [60.0, str(began)])
            with anyio.fail_after(10):
                while not await anyio.Path(began).exists():
                    await checkpoint()
            group.cancel_scope.cancel()
        assert await pool.call("echo", 1, timeout_s=5.0) == 1


async def test_a_process_that_does_not_listen_is_killed_and_replaced() -> None:
    async with opened("process", worker_count=1, cancel_grace_s=0.05, terminate_grace_s=0.05) as pool:
        before = await pool.call("pid")
        with pytest.raises(TaskTimedOut):
            await pool.call("deaf", 60.0, timeout_s=0.05, idempotent=True)
        assert await pool.call("pid", timeout_s=10.0) != before
        assert pool.statistics().restarts_count == 1


async def test_a_thread_that_does_not_listen_is_left_behind_and_replaced() -> None:
    async with opened("thread", worker_count=1, cancel_grace_s=0.05, terminate_grace_s=0.05) as pool:
        with pytest.raises(TaskTimedOut):
            await pool.call("deaf", 1.0, timeout_s=0.05, idempotent=True)
        assert await pool.call("echo", 1, timeout_s=10.0) == 1
        assert pool.statistics().abandoned_count == 1


async def test_a_write_that_has_begun_at_its_deadline_still_gives_its_answer(isolated: Kind) -> None:
    async with opened(isolated, worker_count=1) as pool:
        assert await pool.call("deaf", 0.2, timeout_s=0.05, idempotent=False) == "waited"


@one_loop
async def test_a_body_whose_caller_is_cancelled_in_the_turn_of_its_answer_is_closed() -> None:
    async with opened("process", worker_count=1) as pool:
        asked = pool.call("body", [1_000_000, 1])
        assert await left_open_by_a_cancel_in_the_turn_of_the_answer(pool, asked) == []
        assert pool.statistics().cancelled_count == 0


async def test_ten_thousand_calls_that_give_up_while_waiting_leave_no_trace() -> None:
    async with (
        opened(
            "thread", worker_count=1, max_waiting_count=20_000
        ) as pool,  # they never reach a worker of any kind
        anyio.create_task_group() as group,
    ):
        begin(group, pool, [], "wait", 60.0)
        await until(lambda: pool.statistics().in_flight_count == 1)
        async with anyio.create_task_group() as impatient:
            for _ in range(10_000):
                begin(impatient, pool, [], "echo", 1)
            await until(lambda: pool.statistics().waiting_count > 9_000)
            impatient.cancel_scope.cancel()
        await until(lambda: pool.statistics().in_flight_count == 1)
        assert pool.statistics().waiting_count == 0
        group.cancel_scope.cancel()


# -- lanes ------------------------------------------------------------------------------------------------------------


async def test_a_slow_call_is_moved_to_the_scan_lane_and_starts_there_next_time(isolated: Kind) -> None:
    async with opened(isolated) as pool:
        assert await pool.call("wait", 0.1, idempotent=True, fingerprint="slow") == "waited"
        demoted = pool.statistics().demoted_count
        assert await pool.call("wait", 0.1, idempotent=True, fingerprint="slow") == "waited"
        assert (demoted, pool.statistics().demoted_count) == (1, 1)


async def test_short_calls_are_answered_while_scans_fill_their_lane(isolated: Kind) -> None:
    async with opened(isolated) as pool, anyio.create_task_group() as group:
        for _ in range(5):
            begin(group, pool, [], "wait", 60.0, lane="scan")
        for number in range(300):
            assert await pool.call("echo", number, idempotent=True, timeout_s=10.0) == number
        group.cancel_scope.cancel()


async def test_what_waits_at_a_worker_behind_a_slow_call_is_given_to_another(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated) as pool, anyio.create_task_group() as group:
        begin(group, pool, [], "wait", 60.0)  # not idempotent: it stays where it is
        for number in range(100):
            begin(group, pool, answers, "echo", number)
        await until(lambda: len(answers) == 100)
        assert sorted(answers) == list(range(100))
        group.cancel_scope.cancel()


# -- keys, sessions, batches ------------------------------------------------------------------------------------------


async def test_calls_of_one_key_keep_their_order_and_their_worker(pool: Pool) -> None:
    seen: dict[str, list[tuple[int, Any]]] = {"a": [], "b": []}
    numbers = count()

    async def keep(pool: Pool, key: str) -> None:
        number = next(numbers)
        seen[key].append((number, await pool.call("keep", [key, number], key=key)))

    async with anyio.create_task_group() as group:
        for _ in range(200):
            for key in seen:
                group.start_soon(keep, pool, key)
    for pairs in seen.values():
        order = [number for number, _ in sorted(pairs)]
        kept = [before for _, before in sorted(pairs)]
        assert len(order) == 200
        # each call finds what the one before it left, until the key moves to the other worker for good or a while
        assert all(before is None or before < number for number, before in zip(order, kept, strict=True))


async def test_a_session_finds_what_its_worker_kept_for_it(pool: Pool) -> None:
    async with pool.session() as one, pool.session() as other:
        await one.call("keep", ["x", 1])
        await other.call("keep", ["y", 2])
        assert await one.call("keep", ["x", 3]) == 1
        assert await other.call("keep", ["y", 4]) == 2


async def test_calls_that_arrived_together_are_one_batch(kind: Kind) -> None:
    answers: list[Any] = []
    numbers = count()

    async def write(pool: Pool) -> None:
        answers.append(await pool.call("write", next(numbers), key="db"))

    async with opened(kind, service=BATCHES, worker_count=1) as pool:
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(write, pool)
            begin(group, pool, answers, "refuse", key="db")
        results = [one for one in answers if not isinstance(one, Refused)]
        assert len(answers) == 101
        assert sorted(one[2] for one in results) == list(range(100))
        by_batch = [one[2] for one in sorted(results, key=lambda one: (one[0], one[2]))]
        assert by_batch == sorted(by_batch)
        assert max(one[1] for one in results) > 50


async def test_between_batches_the_service_does_what_is_due(kind: Kind) -> None:
    async with opened(kind, service=BATCHES, worker_count=1) as pool:
        for number in range(3):
            await pool.call("write", number, key="db")
        assert await pool.call("tended", key="db") == 3


async def test_calls_of_a_batch_service_wait_where_they_are_behind_a_long_batch(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated, service=BATCHES, worker_count=1) as pool:
        async with anyio.create_task_group() as group:
            begin(group, pool, answers, "wait", 0.1, key="db")
            await until(lambda: pool.statistics().in_flight_count == 1)
            for number in range(10):
                begin(group, pool, answers, "write", number, key="db")
        assert len(answers) == 11
        assert pool.statistics().recalled_count == 0


async def test_a_batch_of_several_is_never_interrupted(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated, service=BATCHES, worker_count=1) as pool, anyio.create_task_group() as group:
        begin(group, pool, answers, "wait", 0.3, key="db")
        begin(group, pool, answers, "wait", 0.0, key="db")
        with anyio.move_on_after(0.1):
            await pool.call("wait", 0.0, key="db")
    assert answers == ["waited", "waited"]


# -- crashes ----------------------------------------------------------------------------------------------------------


async def test_only_the_call_that_a_killed_worker_ran_fails() -> None:
    answers: list[Any] = []
    async with opened("process") as pool:
        async with anyio.create_task_group() as group:
            for number in range(50):
                begin(group, pool, answers, "echo", number, idempotent=True)
            begin(group, pool, answers, "die", idempotent=True)
            for number in range(50, 100):
                begin(group, pool, answers, "echo", number, idempotent=True)
        died = [one for one in answers if isinstance(one, WorkerDied)]
        assert [one.begun for one in died] == [True]
        assert sorted(one for one in answers if isinstance(one, int)) == list(range(100))
        await until(lambda: pool.statistics().alive_count == 2)


async def test_writes_whose_worker_died_are_told_apart_by_whether_they_had_begun() -> None:
    answers: list[Any] = []
    async with opened("process", service=BATCHES, worker_count=1) as pool:
        async with anyio.create_task_group() as group:
            begin(group, pool, answers, "die", key="db")
            await until(lambda: pool.statistics().restarts_count == 1)
            assert await pool.call("write", 1, key="db", timeout_s=10.0) == [1, 1, 1]
        assert [one.begun for one in answers] == [True]


async def test_workers_that_die_at_every_start_open_the_breaker() -> None:
    async with opened("process", worker_count=1, breaker_count=2, max_restart_delay_s=0.05) as pool:
        errors: list[Any] = []
        while not any(isinstance(one, ServiceUnavailable) for one in errors):
            assert len(errors) < 50
            await answer(pool, errors, "die", idempotent=True, timeout_s=10.0)
        assert all(isinstance(one, (WorkerDied, ServiceUnavailable)) for one in errors)


async def test_a_session_whose_worker_died_says_so() -> None:
    async with opened("process", worker_count=1) as pool, pool.session() as session:
        with pytest.raises(WorkerDied):
            await session.call("die")
        await until(lambda: pool.statistics().alive_count == 1)
        with pytest.raises(WorkerDied):
            await session.call("echo", 1)


# -- closing ----------------------------------------------------------------------------------------------------------


async def test_a_closing_pool_lets_what_it_took_finish(kind: Kind) -> None:
    answers: list[Any] = []
    async with anyio.create_task_group() as group:
        async with opened(kind) as pool:
            for number in range(100):
                begin(group, pool, answers, "echo", number)
            await until(lambda: admitted_count(pool) == 100)
        with pytest.raises(PoolClosed):
            await pool.call("echo", 1)
    assert sorted(answers) == list(range(100))


async def test_a_closing_pool_stops_what_does_not_end_in_time(isolated: Kind) -> None:
    answers: list[Any] = []
    async with anyio.create_task_group() as group, opened(isolated, worker_count=1, drain_s=0.05) as pool:
        begin(group, pool, answers, "wait", 60.0)
        await until(lambda: pool.statistics().in_flight_count == 1)
    assert [type(one) for one in answers] == [PoolClosed]


async def test_the_service_is_closed_in_its_worker(kind: Kind, tmp_path: Path) -> None:
    mark = anyio.Path(tmp_path / "closed")
    await mark.touch()
    async with opened(kind, {"closed_mark": str(mark)}, worker_count=1):
        assert (await mark.stat()).st_size == 0
    assert (await mark.stat()).st_size == 1


async def test_opening_and_closing_leaves_no_descriptor_thread_or_process_behind(kind: Kind) -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208

    async def open_once() -> None:
        async with opened(kind, worker_count=1) as pool:
            await pool.call("echo", 1)
            with await pool.call("body", [100_000, 1]) as body:
                await body.read()

    await open_once()
    gc.collect()
    before = await anyio.to_thread.run_sync(held)
    for _ in range(2):
        await open_once()
    gc.collect()
    after = await anyio.to_thread.run_sync(held)
    assert after[0] <= before[0]
    assert after[1] <= before[1]


# -- kinds ------------------------------------------------------------------------------------------------------------


async def test_a_worker_process_imports_only_what_its_service_needs() -> None:
    async with opened("process", worker_count=1) as pool:
        modules = set(await pool.call("modules"))
    assert not modules & {"anyio", "asyncio", "trio", "structlog", "cryptography", "tempfile", "workers.pool"}


@pytest.mark.parametrize("error", [OSError("no more processes"), RuntimeError("no more processes")])
async def test_where_no_process_can_start_threads_take_over_and_the_reason_is_kept(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("subprocess.Popen", refuse)
    async with opened("process") as pool:
        assert pool.kind == "thread"
        assert "no more processes" in (pool.statistics().fallback_reason or "")
        assert await pool.call("echo", 1) == 1


async def test_where_no_thread_can_start_either_the_loop_itself_runs_the_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    async with opened("thread") as pool:
        assert pool.kind == "inline"
        assert await pool.call("echo", 1) == 1

"""What typed requests do alike in every kind of pool, on asyncio and on trio."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from tests.support.cancelling import left_open_by_a_cancel_in_the_turn_of_the_answer
from tests.support.loops import one_loop
from tests.support.method_services import Declined, Digest, Moved, Numbers, Sum
from tests.support.waiting import until
from workers import (
    InvalidParameters,
    InvalidResult,
    Kind,
    Pool,
    PoolSaturated,
    PoolSettings,
    TaskFailed,
    TaskTimedOut,
    UnknownMethod,
    WorkerDied,
    handing_out,
    open_pool,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

SERVICE = "tests.support.method_services:BenchMethods"


@pytest.fixture(params=["inline", "thread", "process"], scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(params=["thread", "process"])
def isolated(request: pytest.FixtureRequest) -> Kind:
    """The kinds in which requests run beside the loop."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture(scope="module")
async def pool(
    anyio_backend: Any,  # noqa: ARG001 - on each loop
    kind: Kind,
) -> AsyncIterator[Pool]:
    """A pool for all tests that leave it as it was: a process takes longer to start than most of them."""
    async with opened(kind) as pool:
        yield pool


async def answer(pool: Pool, into: list[Any], method: str, params: Any = None, **how: Any) -> None:
    """Append the outcome of a request, result or error, to `into`."""
    try:
        into.append((await pool.request(method, params, Any, **how)).value)
    except Exception as error:  # noqa: BLE001 - the tests look at it
        into.append(error)


def begin(
    group: anyio.abc.TaskGroup, pool: Pool, into: list[Any], method: str, params: Any = None, **how: Any
) -> None:
    """Start a request whose outcome goes `into` a list."""
    group.start_soon(partial(answer, pool, into, method, params, **how))


def opened(kind: Kind, **numbers: Any) -> AbstractAsyncContextManager[Pool]:
    settings = PoolSettings(kind=kind, **{"worker_count": 1, **numbers})
    return open_pool(SERVICE, {}, settings, name="bench", has_lanes=False)


async def test_a_method_gets_its_parameters_and_gives_its_result_as_their_types(pool: Pool) -> None:
    answer = await pool.request("add", Numbers(2, 40), Sum)
    assert answer.value == Sum(42)
    assert (await pool.request("add", {"left": 1}, Sum)).value == Sum(1)


async def test_buffers_go_in_and_come_out_whole_and_in_order(pool: Pool) -> None:
    for sizes in ([], [0], [1, 64 * 1024, 64 * 1024 + 1], [3_000_000, 10, 2_000_000]):
        buffers = [bytes([number + 1]) * size + b"end"[:size] for number, size in enumerate(sizes)]
        digest = await pool.request("digest", None, Digest, buffers=buffers)
        assert digest.value.hexes == [hashlib.sha256(each).hexdigest() for each in buffers]
        with await pool.request("reverse", None, Sum, buffers=buffers) as answer:
            assert answer.value.total == sum(map(len, buffers))
            assert [await each.read() for each in answer.buffers] == [each[::-1] for each in buffers]


async def test_a_method_can_write_its_output_where_its_caller_reads_it(pool: Pool) -> None:
    for size, kept in ((0, None), (10, None), (3_000_000, None), (3_000_000, 2_000_001)):
        expected = b"\xf0" * (size if kept is None else kept)
        with await pool.request("invert", kept, Sum, buffers=[b"\x0f" * size]) as answer:
            assert await answer.buffers[0].read() == expected
            assert answer.buffers[0].mapped() == expected


async def test_the_output_of_one_request_is_the_input_of_another(pool: Pool) -> None:
    whole = b"\x0f" * 1_000_000
    with await pool.request("invert", None, Sum, buffers=[whole]) as first:
        digest = await pool.request("digest", None, Digest, buffers=first.buffers)
    assert digest.value.hexes == [hashlib.sha256(b"\xf0" * 1_000_000).hexdigest()]


async def test_16_mib_go_through_a_process_with_one_copy() -> None:
    """The caller's bytes are copied into a file; the worker maps it, and the caller maps what the worker wrote."""
    whole = b"first" + bytes(16 * 1024 * 1024)
    async with opened("process") as pool:
        with await pool.request("moved", None, Moved, buffers=[whole]) as answer:
            (body,) = answer.buffers
            view = body.mapped()
            assert answer.value.input_is_mapped
            assert body.fd is not None
            assert os.fstat(body.fd).st_ino == answer.value.output_file_number
            assert not isinstance(view.obj, bytes)  # but a map
            assert (bytes(view[:5]), view.nbytes) == (b"first", len(whole))
            assert answer.value.pid != os.getpid()


async def test_a_view_of_a_body_outlives_it(kind: Kind) -> None:
    async with opened(kind) as pool:
        with await pool.request("invert", None, Sum, buffers=[b"\0" * 1_000_000]) as answer:
            view = answer.buffers[0].mapped()
    assert view == b"\xff" * 1_000_000
    assert view.readonly


async def test_more_buffers_than_may_go_with_one_message_are_refused_both_ways(pool: Pool) -> None:
    with pytest.raises(ValueError, match="at most 64"):
        await pool.request("digest", None, Digest, buffers=[b"x"] * 65)
    with pytest.raises(TaskFailed):
        await pool.request("many", 65, type(None))
    with await pool.request("many", 64, type(None)) as answer:
        assert len(answer.buffers) == 64


async def test_buffers_beyond_the_bound_of_bytes_are_refused_and_those_within_are_given_back(
    kind: Kind,
) -> None:
    async with opened(kind, max_waiting_bytes=1_000_000) as pool:
        with pytest.raises(PoolSaturated):
            await pool.request("digest", None, Digest, buffers=[bytes(1_000_001)])
        for _ in range(3):
            await pool.request("digest", None, Digest, buffers=[bytes(900_000)])
        with pytest.raises(InvalidParameters):
            await pool.request("add", "no numbers", Sum, buffers=[bytes(900_000)])
        assert pool.statistics().waiting_bytes == 0


async def test_requests_with_more_files_than_a_worker_may_hold_wait_for_each_other() -> None:
    answers: list[Any] = []
    big = bytes(70_000)
    async with opened("process", max_waiting_bytes=1 << 30) as pool:
        async with anyio.create_task_group() as group:
            for _ in range(12):  # 768 files: more than a process may open beside the 256 a frame could bring
                begin(group, pool, answers, "touch", buffers=[big] * 64)
        assert answers == [0] * 12
        assert pool.statistics().restarts_count == 0


async def test_a_request_that_may_not_be_repeated_is_stopped_by_force_once_it_is_hopeless(
    isolated: Kind,
) -> None:
    async with opened(isolated, cancel_grace_s=0.02, terminate_grace_s=0.02, settle_s=0.05) as pool:
        with pytest.raises(TaskTimedOut) as caught:
            await pool.request("deaf", 1.5, str, timeout_s=0.05, idempotent=False)
        assert caught.value.begun
        assert (await pool.request("add", Numbers(1), Sum)).value == Sum(1)
        assert pool.statistics().restarts_count == 1


async def test_no_descriptor_is_left_after_answers_errors_cancels_and_deaths() -> None:
    big = bytes(200_000)
    async with opened("process") as pool:
        await pool.request("digest", None, Digest, buffers=[big])
        before = await open_files_count()
        for _ in range(20):
            (await pool.request("reverse", None, Sum, buffers=[big, big])).close()
            with pytest.raises(InvalidParameters):
                await pool.request("add", "no numbers", Sum, buffers=[big])
            with anyio.move_on_after(0.005):
                (await pool.request("reverse", None, Sum, buffers=[big], idempotent=True)).close()
        with pytest.raises(WorkerDied):
            await pool.request("die", None, type(None), buffers=[big])
        await until(lambda: pool.statistics().alive_count == 1 and pool.statistics().in_flight_count == 0)
        await pool.request("digest", None, Digest, buffers=[big])
        assert pool.statistics().waiting_bytes == 0
        assert await open_files_count() <= before


async def open_files_count() -> int:
    return len(await anyio.to_thread.run_sync(os.listdir, "/proc/self/fd"))


async def test_parameters_of_another_type_are_refused_and_nothing_runs(pool: Pool) -> None:
    with pytest.raises(InvalidParameters, match="left"):
        await pool.request("add", {"left": "2"}, Sum)
    with pytest.raises(InvalidParameters):
        await pool.call("add", [1, 2, 3])
    with pytest.raises(UnknownMethod, match="subtract"):
        await pool.request("subtract", Numbers(1), Sum)
    with pytest.raises(UnknownMethod):
        await pool.request("close", None, Sum)


async def test_a_result_of_another_type_is_refused_where_it_arrives(pool: Pool) -> None:
    with pytest.raises(InvalidResult):
        await pool.request("wrong", None, Sum)


async def test_an_error_of_the_service_reaches_its_caller_with_its_details(pool: Pool) -> None:
    with pytest.raises(Declined) as caught:
        await pool.request("decline", "because", type(None))
    assert caught.value.details == {"why": "because"}


async def test_progress_comes_in_order_before_the_result_and_a_fast_task_cannot_flood(pool: Pool) -> None:
    seen: list[tuple[int, int | None, str]] = []
    answer = await pool.request("count", 100_000, int, on_progress=lambda *progress: seen.append(progress))
    assert answer.value == 100_000
    reports_count = len(seen)
    assert seen[0] == (0, 100_000, "counting")
    assert seen[-1] == (100_000, 100_000, "counting")
    assert seen == sorted(seen)
    assert reports_count < 1_000
    await pool.request("count", 10, int)
    assert len(seen) == reports_count


async def test_a_callback_that_raises_is_not_called_again_and_harms_nobody(pool: Pool) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no")

    assert (await pool.request("count", 10, int, on_progress=refuse)).value == 10


async def test_a_task_that_looks_stops_at_its_deadline(pool: Pool) -> None:
    with anyio.fail_after(20), pytest.raises(TaskTimedOut) as caught:
        await pool.request("obey", 60.0, str, timeout_s=0.05, idempotent=True)
    assert caught.value.begun
    assert (await pool.request("add", Numbers(1), Sum, timeout_s=10.0)).value == Sum(1)
    assert pool.statistics().restarts_count == 0


async def test_a_request_whose_worker_dies_says_so() -> None:
    async with opened("process") as pool:
        with pytest.raises(WorkerDied) as caught:
            await pool.request("die", None, type(None))
        assert caught.value.begun


async def test_a_request_that_may_not_wait_says_so_and_does_not_run(isolated: Kind) -> None:
    answers: list[Any] = []
    async with opened(isolated) as pool, anyio.create_task_group() as group:
        begin(group, pool, answers, "obey", 60.0, idempotent=True)
        await until(lambda: pool.statistics().in_flight_count == 1)
        with pytest.raises(TaskTimedOut, match="begin") as caught:
            await pool.request("add", Numbers(1), Sum, max_wait_s=0.02)
        assert not caught.value.begun
        group.cancel_scope.cancel()


async def test_a_request_that_has_begun_in_time_may_take_longer(isolated: Kind) -> None:
    async with opened(isolated) as pool:
        assert (await pool.request("obey", 0.1, str, max_wait_s=0.02)).value == "waited"


async def test_requests_of_high_priority_go_first_and_those_of_low_last(isolated: Kind) -> None:
    answers: list[Any] = []
    async with (
        opened(isolated, request_window_count=1) as pool,
        anyio.create_task_group() as group,
        anyio.create_task_group() as first,
    ):
        begin(first, pool, [], "obey", 60.0, idempotent=True)
        await until(lambda: pool.statistics().in_flight_count == 1)
        for number, priority in enumerate(("low", "normal", "high", "low", "normal", "high")):
            begin(group, pool, answers, "count", number, priority=priority)
            await until(lambda waiting=number + 1: pool.statistics().waiting_count == waiting)  # type: ignore[misc]  # bound now
        first.cancel_scope.cancel()
        await until(lambda: len(answers) == 6)
    assert answers == [2, 5, 1, 4, 0, 3]


async def test_a_priority_that_there_is_not_is_refused_with_those_that_there_are(pool: Pool) -> None:
    urgent: Any = "urgent"
    with pytest.raises(ValueError, match="priority is 'urgent'; allowed are high, normal, low"):
        await pool.request("count", 1, int, buffers=[b"given back"], priority=urgent)
    assert (await pool.request("count", 1, int)).value == 1


@one_loop
async def test_buffers_whose_caller_is_cancelled_in_the_turn_of_its_answer_are_closed() -> None:
    async with opened("process") as pool:
        asked = pool.request("reverse", None, Sum, buffers=[bytes(3_000_000)])
        assert await left_open_by_a_cancel_in_the_turn_of_the_answer(pool, asked) == []


async def test_requests_go_to_each_worker_in_turn_where_that_is_wanted(isolated: Kind) -> None:
    async with opened(isolated, worker_count=2, balance="round-robin") as pool:
        threads = {(await pool.request("thread", None, int)).value for _ in range(10)}
    assert len(threads) == 2


async def test_a_request_of_low_priority_is_deferred_and_not_starved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing_out, "PATIENCE_S", 0.0)
    answers: list[Any] = []
    async with (
        opened("thread", request_window_count=1) as pool,
        anyio.create_task_group() as group,
        anyio.create_task_group() as first,
    ):
        begin(first, pool, [], "obey", 60.0, idempotent=True)
        await until(lambda: pool.statistics().in_flight_count == 1)
        for number, priority in enumerate(("low", "normal", "high")):
            begin(group, pool, answers, "count", number, priority=priority)
            await until(lambda waiting=number + 1: pool.statistics().waiting_count == waiting)  # type: ignore[misc]  # bound now
            for _ in range(10):  # turns, in which it is handed out, or found to have waited long enough
                await checkpoint()
        first.cancel_scope.cancel()
        await until(lambda: len(answers) == 3)
    assert answers == [2, 0, 1]

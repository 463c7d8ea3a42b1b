"""What typed requests do alike in every kind of pool, on asyncio and on trio."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.support.method_services import Declined, Digest, Numbers, Sum
from workers import (
    InvalidParameters,
    InvalidResult,
    Kind,
    Pool,
    PoolSettings,
    TaskTimedOut,
    UnknownMethod,
    WorkerDied,
    open_pool,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

SERVICE = "tests.support.method_services:BenchMethods"


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


def opened(kind: Kind, **numbers: Any) -> AbstractAsyncContextManager[Pool]:
    settings = PoolSettings(kind=kind, **{"worker_count": 1, **numbers})
    return open_pool(SERVICE, {}, settings, name="bench", has_lanes=False)


async def test_a_method_gets_its_parameters_and_gives_its_result_as_their_types(kind: Kind) -> None:
    async with opened(kind) as pool:
        answer = await pool.request("add", Numbers(2, 40), Sum)
        assert answer.value == Sum(42)
        assert (await pool.request("add", {"left": 1}, Sum)).value == Sum(1)


@pytest.mark.parametrize("sizes", [[], [0], [1, 64 * 1024, 64 * 1024 + 1], [3_000_000, 10, 2_000_000]])
async def test_buffers_go_in_and_come_out_whole_and_in_order(kind: Kind, sizes: list[int]) -> None:
    buffers = [bytes([number + 1]) * size + b"end"[:size] for number, size in enumerate(sizes)]
    async with opened(kind) as pool:
        digest = await pool.request("digest", None, Digest, buffers=buffers)
        assert digest.value.hexes == [hashlib.sha256(each).hexdigest() for each in buffers]
        with await pool.request("reverse", None, Sum, buffers=buffers) as answer:
            assert answer.value.total == sum(map(len, buffers))
            assert [await each.read() for each in answer.buffers] == [each[::-1] for each in buffers]


async def test_parameters_of_another_type_are_refused_and_nothing_runs(kind: Kind) -> None:
    async with opened(kind) as pool:
        with pytest.raises(InvalidParameters, match="left"):
            await pool.request("add", {"left": "2"}, Sum)
        with pytest.raises(InvalidParameters):
            await pool.call("add", [1, 2, 3])
        with pytest.raises(UnknownMethod, match="subtract"):
            await pool.request("subtract", Numbers(1), Sum)
        with pytest.raises(UnknownMethod):
            await pool.request("close", None, Sum)


async def test_a_result_of_another_type_is_refused_where_it_arrives(kind: Kind) -> None:
    async with opened(kind) as pool:
        with pytest.raises(InvalidResult):
            await pool.request("wrong", None, Sum)


async def test_an_error_of_the_service_reaches_its_caller_with_its_details(kind: Kind) -> None:
    async with opened(kind) as pool:
        with pytest.raises(Declined) as caught:
            await pool.request("decline", "because", type(None))
        assert caught.value.details == {"why": "because"}


async def test_progress_comes_in_order_before_the_result_and_a_fast_task_cannot_flood(kind: Kind) -> None:
    seen: list[tuple[int, int | None, str]] = []
    async with opened(kind) as pool:
        answer = await pool.request(
            "count", 100_000, int, on_progress=lambda *progress: seen.append(progress)
        )
        assert answer.value == 100_000
        reports_count = len(seen)
        assert seen[0] == (0, 100_000, "counting")
        assert seen[-1] == (100_000, 100_000, "counting")
        assert seen == sorted(seen)
        assert reports_count < 1_000
        await pool.request("count", 10, int)
        assert len(seen) == reports_count


async def test_a_callback_that_raises_is_not_called_again_and_harms_nobody(kind: Kind) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no")

    async with opened(kind) as pool:
        assert (await pool.request("count", 10, int, on_progress=refuse)).value == 10


async def test_a_task_that_looks_stops_at_its_deadline(kind: Kind) -> None:
    async with opened(kind) as pool:
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

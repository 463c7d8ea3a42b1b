"""Whatever comes over the sockets of a process worker, neither side crashes and no other call is harmed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec
import pytest

from tests.support.loops import ASYNCIO, on
from tests.support.waiting import until
from workers import Body, Pool, PoolSettings, TaskFailed, WorkerDied, open_pool
from workers.frames import frame

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

DATA, CONTROL = 0, 1

anyio_backend = on(ASYNCIO)  # what came through a socket is understood alike, whichever loop told of it


def opened(**numbers: Any) -> AbstractAsyncContextManager[Pool]:
    settings = PoolSettings(kind="process", **{"worker_count": 1, **numbers})
    return open_pool("tests.support.services:GarbledService", {}, settings, name="bench", has_lanes=False)


def batch(*messages: Any) -> bytes:
    return frame([msgspec.msgpack.encode(each) for each in messages])


NONSENSE = {
    "unknown": batch("?", None, [], {}, [99, 10**6], [0], [0, "seq", 1, 2]),
    "late": batch([0, 10**6, 5, "late"], [2, 10**6, 5, "failed", "late", {}], [4, 10**6, 5, b"late", []]),
    "late, without its file": batch([1, 10**6, 5, 100]),
    "no MessagePack": frame([b"\xc1\xc1"]),
    "beyond the numbers": batch([0, 2**62, 2**63, "x"]),
}


async def test_a_pool_that_gets_nonsense_passes_it_over_and_answers_its_calls() -> None:
    async with opened() as pool:
        for what, data in NONSENSE.items():
            for which in (DATA, CONTROL):
                assert await pool.call("garble", [which, data]) == "garbled", what
                assert await pool.call("echo", which) == which, what
            with await pool.call("body", [100_000, 1]) as body:
                assert await body.read() == bytes(100_000), what
            assert pool.statistics().restarts_count == 0, what


async def test_a_progress_a_pong_and_a_log_line_that_make_no_sense_are_passed_over() -> None:
    data = batch(
        [24, 10**6, 1, None, ""],
        [25, 2**62],
        [22, [10**6, 0, -5]],
        [23, "error", "workers.odd", {"event": "x", "worker": 1}],
        [23, "exit", "x", {}],
        [20, False],
        [21, "failed to start, it says now"],
    )
    async with opened() as pool:
        assert await pool.call("garble", [CONTROL, data]) == "garbled"
        before = await pool.call("pid")
        with pytest.raises(WorkerDied):
            await pool.call("die")
        assert await pool.call("pid") != before


@pytest.mark.parametrize("which", [DATA, CONTROL])
async def test_a_worker_that_announces_more_than_may_be_is_replaced(which: int) -> None:
    async with opened() as pool:
        before = await pool.call("pid")
        with suppress(WorkerDied):  # it may have answered just before
            await pool.call("garble", [which, b"\xff\xff\xff\xff"])
        await until(lambda: pool.statistics().restarts_count == 1)
        assert await pool.call("pid", idempotent=True) != before


async def test_a_worker_that_leaves_without_a_word_is_replaced_and_its_call_told() -> None:
    async with opened() as pool:
        with pytest.raises(WorkerDied, match="exit code 3"):
            await pool.call("mute")
        assert await pool.call("echo", 1) == 1


async def test_a_worker_that_gets_nonsense_passes_it_over_and_answers_its_calls() -> None:
    async with opened() as pool:
        worker: Any = pool._dispatcher.slots[0].worker
        for outlet in (worker._data, worker._control):
            outlet.send(batch("?", None, [99], [10**6, 2, 3, 4], {"a": 1}))
            outlet.send(frame([b"\xc1"]))
        assert await pool.call("echo", 1) == 1
        assert len(await pool.ping()) == 1
        assert pool.statistics().restarts_count == 0


async def test_a_worker_that_gets_an_impossible_length_is_replaced() -> None:
    async with opened() as pool:
        before = await pool.call("pid")
        worker: Any = pool._dispatcher.slots[0].worker
        worker._data.send(b"\xff\xff\xff\xff")
        await until(lambda: pool.statistics().restarts_count == 1)
        assert await pool.call("pid", idempotent=True) != before


async def test_files_that_nobody_announced_are_not_given_to_another_answer() -> None:
    async with opened() as pool:
        worker: Any = pool._dispatcher.slots[0].worker
        fd = await anyio.to_thread.run_sync(os.dup, 0)
        worker._fds.append(fd)
        with suppress(WorkerDied):  # its end may be quicker than the answer
            await pool.call("garble", [DATA, batch(["?"])], idempotent=True)
        await until(lambda: pool.statistics().restarts_count == 1)
        body: Body = await pool.call("body", [100_000, 1])
        with body:
            assert await body.read() == bytes(100_000)


async def test_an_error_with_details_that_its_class_does_not_take_is_still_an_error() -> None:
    async with opened() as pool:
        with pytest.raises(TaskFailed):
            await pool.call("refuse", {"message": "twice"})

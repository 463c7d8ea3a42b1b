"""The loads a candidate is put under, each bounded in time or count; they run on the candidate's own loop."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from loadtests.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.benchmarks.subjects.protocol import Candidate

_TICK_S = 0.001
_IDLE_S = 0.1
STRIDE = 7919
"""A prime: keys of a run lie all over the table, the same ones for each candidate."""


class Ticker:
    """A 1 ms ticker on the loop: `longest_ms` is the longest time that it had to wait beyond its turn."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick."""
        self._due = time.monotonic() + _TICK_S  # not loop.time(): uvloop's counts whole milliseconds
        self._handle = self._loop.call_later(_TICK_S, self._tick)

    def stop(self) -> float:
        """End, and return the longest wait; a tick that is overdue counts."""
        if self._handle is not None:
            self._handle.cancel()
        self._look()
        return self.longest_ms

    def _tick(self) -> None:
        self._look()
        self.start()

    def _look(self) -> None:
        self.longest_ms = max(self.longest_ms, (time.monotonic() - self._due) * 1e3)


async def rate(action: Callable[[int], Awaitable[object]], *, seconds: float, in_flight: int) -> float:
    """Return how many actions a second ended with `in_flight` callers, each asking once and again until the time is over."""
    begun = time.perf_counter()
    until = begun + seconds
    count = 0

    async def caller(first: int) -> None:
        nonlocal count
        number = first
        while True:
            await action(number)
            count += 1
            number += in_flight
            if time.perf_counter() >= until:
                return

    await asyncio.gather(*(caller(first) for first in range(in_flight)))
    return count / (time.perf_counter() - begun)


async def point_reads(
    candidate: Candidate, *, table: str, row_count: int, seconds: float, in_flight: int
) -> dict[str, float]:
    """Read single rows all over the table."""
    return {
        "per_s": await rate(
            lambda number: candidate.read_one(table, number * STRIDE % row_count + 1),
            seconds=seconds,
            in_flight=in_flight,
        )
    }


async def pages(
    candidate: Candidate, *, table: str, row_count: int, seconds: float, in_flight: int
) -> dict[str, float]:
    """Make the JSON of 50-row pages all over the table."""
    return {
        "per_s": await rate(
            lambda number: candidate.page_json(table, number * STRIDE % (row_count - 50)),
            seconds=seconds,
            in_flight=in_flight,
        )
    }


async def large(candidate: Candidate, *, table: str, row_count: int, at_once: int) -> dict[str, float]:
    """Make `at_once` large answers together while a ticker runs; the same ticker on the idle loop shows the noise."""
    idle = Ticker()
    idle.start()
    await asyncio.sleep(_IDLE_S)
    idle_ms = idle.stop()
    ticker = Ticker()
    ticker.start()
    begun = time.perf_counter()
    sizes = await asyncio.gather(*(candidate.rows_json(table, row_count) for _ in range(at_once)))
    took_ms = (time.perf_counter() - begun) * 1e3
    return {"ms": took_ms, "stall_ms": ticker.stop(), "idle_stall_ms": idle_ms, "bytes": float(sum(sizes))}


async def writes(candidate: Candidate, *, seconds: float, in_flight: int) -> dict[str, float]:
    """Insert rows, each on disk before its caller goes on."""
    return {"per_s": await rate(candidate.write_one, seconds=seconds, in_flight=in_flight)}


async def lone(candidate: Candidate, *, table: str, row_count: int, count: int) -> dict[str, float]:
    """Read single rows one after another: what one caller alone waits for."""
    times: list[float] = []
    for number in range(count):
        begun = time.perf_counter()
        await candidate.read_one(table, number * STRIDE % row_count + 1)
        times.append((time.perf_counter() - begun) * 1e6)
    return {"us": statistics.median(times), "p99_us": percentile(times, 99)}


async def beside_scans(
    candidate: Candidate,
    *,
    table: str,
    row_count: int,
    count: int,
    every_s: float,
    scans: int,
    scan_steps: int,
) -> dict[str, float]:
    """Begin a read every `every_s` whatever the last one does, while `scans` long queries run.

    A read's time counts from when it was due: one that could not even begin, since the loop stood still, has waited too.
    """
    first_due = time.monotonic() + 2 * every_s
    running = [asyncio.create_task(candidate.scan(scan_steps)) for _ in range(scans)]
    times: list[float] = []

    async def read(due: float, key: int) -> None:
        await candidate.read_one(table, key)
        times.append((time.monotonic() - due) * 1e3)

    reads: list[asyncio.Task[None]] = []
    for number in range(count):
        due = first_due + number * every_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        reads.append(asyncio.create_task(read(due, number * STRIDE % row_count + 1)))
    await asyncio.gather(*reads)
    scans_left = sum(1 for scan in running if not scan.done())
    await asyncio.gather(*running)
    return {
        "p50_ms": percentile(times, 50),
        "p99_ms": percentile(times, 99),
        "worst_ms": max(times),
        "scans_s": time.monotonic() - first_due,
        "scans_left": float(scans_left),
    }


WORKLOADS: dict[str, Callable[..., Awaitable[dict[str, float]]]] = {
    "point_reads": point_reads,
    "pages": pages,
    "large": large,
    "writes": writes,
    "lone": lone,
    "beside_scans": beside_scans,
}

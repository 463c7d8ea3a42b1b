"""The loads a queue is put under, each bounded in time or count; they run on the candidate's own loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from loadtests.percentiles import percentile
from tests.benchmarks.subjects.workloads import rate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.benchmarks.subjects.queue_ours import OurQueue
    from tests.benchmarks.subjects.queue_protocol import QueueCandidate

_BETWEEN_S = 0.003  # a queue that has nothing to do any more: its last report is written meanwhile
_LANES_COUNT = 8
_TICK_S = 0.001  # uvloop makes a standstill of less: a loop that never sleeps


async def queue_in(candidate: QueueCandidate, *, seconds: float, in_flight: int) -> dict[str, float]:
    """Put actions in, each on disk before its caller goes on."""
    return {"per_s": await rate(candidate.enqueue, seconds=seconds, in_flight=in_flight)}


async def queue_pace(candidate: QueueCandidate, *, per_s: int, count: int) -> dict[str, float]:
    """Begin an enqueue when it is due, whatever the others do; its time counts from then, the loop's delay included."""
    first_due = time.monotonic() + 0.01
    times: list[float] = []

    async def enqueue(number: int, due: float) -> None:
        await candidate.enqueue(number)
        times.append((time.monotonic() - due) * 1e3)

    begun: list[asyncio.Task[None]] = []
    while len(begun) < count:
        await asyncio.sleep(_TICK_S)
        while len(begun) < count and (due := first_due + len(begun) / per_s) <= time.monotonic():
            begun.append(asyncio.create_task(enqueue(len(begun), due)))
    await asyncio.gather(*begun)
    return {"p50_ms": percentile(times, 50), "p99_ms": percentile(times, 99), "worst_ms": max(times)}


async def queue_out(candidate: QueueCandidate, *, lanes: int, count: int, seconds: float) -> dict[str, float]:
    """Handle what waits, and write down that it is done."""
    await candidate.fill(lanes=lanes, count=count)
    begun = time.perf_counter()
    done_count = await candidate.drain(count=count, seconds=seconds)
    return {"per_s": done_count / (time.perf_counter() - begun)}


async def queue_more_out(candidate: OurQueue, *, least_count: int) -> dict[str, float]:
    """Handle as many as were enqueued since the last time, of more that wait."""
    count = max(least_count, candidate.enqueued_count)
    begun = time.perf_counter()
    await candidate.drain_some(count)
    took_s = time.perf_counter() - begun
    await candidate.top_up()
    return {"per_s": count / took_s}


async def queue_to_handler(candidate: OurQueue, *, count: int) -> dict[str, float]:
    """Enqueue one at a time into an idle queue: the time until its handler begins, from the call and from its return."""
    whole: list[float] = []
    after: list[float] = []
    candidate.listen()
    for number in range(count):
        await asyncio.sleep(_BETWEEN_S)
        begun = time.monotonic_ns()
        heard = candidate.expect(f"{number}")
        await candidate.enqueue_named(f"{number}")
        stored = time.monotonic_ns()
        at = await asyncio.wait_for(heard, 10.0)
        whole.append((at - begun) / 1e6)
        after.append((at - stored) / 1e6)
    return {
        "p50_ms": percentile(whole, 50),
        "p99_ms": percentile(whole, 99),
        "wake_p50_ms": percentile(after, 50),
        "wake_p99_ms": percentile(after, 99),
    }


async def queue_listen(candidate: OurQueue) -> dict[str, float]:
    """Handle what comes from now on, and note when."""
    candidate.heard.clear()
    candidate.listen()
    return {}


async def queue_announce(candidate: OurQueue, *, first: int, count: int) -> dict[str, float]:
    """Enqueue one at a time for another process, and return when each call began and returned, in nanoseconds."""
    times: dict[str, float] = {}
    for number in range(first, first + count):
        await asyncio.sleep(_BETWEEN_S)
        times[f"begun {number}"] = time.monotonic_ns()
        await candidate.enqueue_named(f"{number}")
        times[f"stored {number}"] = time.monotonic_ns()
    return times


async def queue_heard(candidate: OurQueue, *, count: int) -> dict[str, float]:
    """Return when each handler began, once there were `count`, in nanoseconds of the clock that processes share."""
    async with asyncio.timeout(10.0):
        while len(candidate.heard) < count:  # noqa: ASYNC110 - the handler has other things to do
            await asyncio.sleep(_BETWEEN_S)
    return {name: float(at) for name, at in candidate.heard.items()}


async def queue_claims(candidate: OurQueue, *, count: int) -> dict[str, float]:
    """Claim the first action of some lanes, give them back and claim again, `count` times: the time of one turn."""
    times = [await candidate.claim_turn(_LANES_COUNT) for _ in range(count)]
    await candidate.give_back()
    return {"us": percentile(times, 50)}


async def queue_lone(candidate: QueueCandidate, *, count: int) -> dict[str, float]:
    """Enqueue one after another: what one caller alone waits for."""
    times: list[float] = []
    for number in range(count):
        begun = time.perf_counter()
        await candidate.enqueue(number)
        times.append((time.perf_counter() - begun) * 1e6)
    return {"us": percentile(times, 50), "p99_us": percentile(times, 99)}


QUEUE_WORKLOADS: dict[str, Callable[..., Awaitable[dict[str, float]]]] = {
    "queue_in": queue_in,
    "queue_pace": queue_pace,
    "queue_out": queue_out,
    "queue_more_out": queue_more_out,
    "queue_to_handler": queue_to_handler,
    "queue_listen": queue_listen,
    "queue_announce": queue_announce,
    "queue_heard": queue_heard,
    "queue_claims": queue_claims,
    "queue_lone": queue_lone,
}

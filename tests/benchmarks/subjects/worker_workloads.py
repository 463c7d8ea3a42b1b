"""The loads a pool of workers is put under, each bounded in time or count; they run on the candidate's own loop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil

from loadtests.percentiles import percentile
from tests.benchmarks.subjects.workloads import rate

if TYPE_CHECKING:
    from tests.benchmarks.subjects.worker_pools import OurWorkers, WorkerCandidate


async def workers_lone(
    candidate: WorkerCandidate, *, size: int, count: int, seconds: float
) -> dict[str, float]:
    """Send `size` bytes to a worker and back, one after the other: `count` times, or until the time is over."""
    data = os.urandom(size)
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < count and (not times or time.perf_counter() < until):
        begun = time.perf_counter()
        await candidate.echo(data)
        times.append((time.perf_counter() - begun) * 1e6)
    return {"p50_us": percentile(times, 50), "p99_us": percentile(times, 99)}


async def workers_many(
    candidate: WorkerCandidate, *, size: int, seconds: float, in_flight: int
) -> dict[str, float]:
    """Send `size` bytes to a worker and back, many at once."""
    data = os.urandom(size)
    per_s = await rate(lambda _: candidate.echo(data), seconds=seconds, in_flight=in_flight)
    return {"per_s": per_s, "us_each": 1e6 / per_s if per_s else float("inf")}


async def workers_start(candidate: WorkerCandidate) -> dict[str, float]:
    """Start one worker and have it answer; and the memory that it has then."""
    before = _children()
    begun = time.perf_counter()
    await candidate.open_workers(1)
    await candidate.echo(b"")
    ms = (time.perf_counter() - begun) * 1e3
    started = [child for child in psutil.Process().children() if child.pid not in before]
    mb = 0.0
    for child in started:
        with suppress(psutil.Error):
            mb = max(mb, child.memory_full_info().uss / 2**20)
    return {"ms": ms, "mb": mb}


async def workers_spin(
    candidate: WorkerCandidate, *, workers: int, count: int, steps: int
) -> dict[str, float]:
    """Compute in pure Python on so many workers."""
    await candidate.open_workers(workers)
    await asyncio.gather(*(candidate.spin(1) for _ in range(workers)))
    begun = time.perf_counter()
    await asyncio.gather(*(candidate.spin(steps) for _ in range(count)))
    return {"per_s": count / (time.perf_counter() - begun)}


async def workers_digests(candidate: OurWorkers, *, count: int, in_one: bool) -> dict[str, float]:
    """Hash `count` inputs of 64 bytes, in a request each or all in one."""
    inputs = [os.urandom(64) for _ in range(count)]
    begun = time.perf_counter()
    await (candidate.digests_in_one(inputs) if in_one else candidate.digests(inputs))
    return {"per_s": count / (time.perf_counter() - begun)}


async def workers_cancel(candidate: OurWorkers, *, count: int) -> dict[str, float]:
    """Stop a call that never looks; the time until the next one is answered by the same pool of one worker."""
    times: list[float] = []
    for _ in range(count):
        while candidate.pool.kind == "process" and not candidate.pool.statistics().spares_count:  # noqa: ASYNC110 - not measured
            await asyncio.sleep(0.005)
        times.append(await candidate.cancel() * 1e3)
    return {"ms": percentile(times, 50), "worst_ms": max(times)}


async def bare_echo(candidate: Any, *, count: int) -> dict[str, float]:  # noqa: ARG001 - as all workloads
    """Send a byte over a bare socketpair to a forked process and back: what the machine allows."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        while theirs.send(theirs.recv(1)):
            pass
        os._exit(0)
    theirs.close()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    times: list[float] = []
    try:
        for _ in range(count):
            begun = time.perf_counter()
            await loop.sock_sendall(ours, b"x")
            await loop.sock_recv(ours, 1)
            times.append((time.perf_counter() - begun) * 1e6)
    finally:
        ours.close()
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
        os.waitpid(pid, 0)  # noqa: ASYNC222 - it was killed
    return {"p50_us": percentile(times, 50), "p99_us": percentile(times, 99)}


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


WORKER_WORKLOADS: dict[str, Any] = {
    each.__name__: each
    for each in (
        workers_lone,
        workers_many,
        workers_start,
        workers_spin,
        workers_digests,
        workers_cancel,
        bare_echo,
    )
}

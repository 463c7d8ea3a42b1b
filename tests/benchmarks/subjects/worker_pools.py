"""Ours and the peers as pools of workers; each is called in the quickest way its users would find."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from multiprocessing import get_context
from typing import Any, Protocol

from tests.benchmarks.subjects.worker_functions import digest, echo, spin
from workers import Kind, Pool, PoolSettings, open_pool

SERVICE = "tests.benchmarks.subjects.worker_functions:BenchWork"


class WorkerCandidate(Protocol):
    """One pool; `open` and `close` start and end `count` workers."""

    async def open_workers(self, count: int) -> None:
        """Start the workers and use each once."""

    async def close(self) -> None:
        """End the workers."""

    async def echo(self, data: bytes) -> int:
        """Send `data` to a worker and back, and return its length."""

    async def spin(self, steps: int) -> None:
        """Have a worker compute."""

    async def digests(self, inputs: list[bytes]) -> None:
        """Have workers hash each of `inputs`, in one request each."""


class OurWorkers:
    """A pool of ours."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._stack = AsyncExitStack()
        self.pool: Pool

    async def open(self, path: str) -> None:  # noqa: ARG002 - as all candidates
        """Start with one worker; there is no file."""
        await self.open_workers(1)

    async def open_workers(self, count: int) -> None:
        await self.close()
        settings = PoolSettings(
            kind=self._kind,
            worker_count=count,
            spare_count=1 if self._kind == "process" else 0,
            max_waiting_count=10_000,
            max_waiting_bytes=1 << 30,
            cancel_grace_s=0.02,
            terminate_grace_s=0.02,
        )
        self.pool = await self._stack.enter_async_context(
            open_pool(SERVICE, {}, settings, name="bench", has_lanes=False)
        )

    async def close(self) -> None:
        await self._stack.aclose()

    async def echo(self, data: bytes) -> int:
        if not data:
            await self.pool.request("nothing", None, type(None))
            return 0
        with await self.pool.request("echo", None, type(None), buffers=[data]) as answer:
            return answer.buffers[0].mapped().nbytes

    async def spin(self, steps: int) -> None:
        await self.pool.request("spin", steps, int)

    async def digests(self, inputs: list[bytes]) -> None:
        await asyncio.gather(*(self.pool.request("digest", [each], list[bytes]) for each in inputs))

    async def digests_in_one(self, inputs: list[bytes]) -> None:
        """As `digests`, in one request."""
        await self.pool.request("digest", inputs, list[bytes])

    async def cancel(self) -> float:
        """Cancel a call that runs and never looks, and return the seconds until the next one is answered."""
        task = asyncio.create_task(self.pool.request("spin", 10**9, int, idempotent=True))
        while not self._is_running():  # noqa: ASYNC110 - a page that another process writes
            await asyncio.sleep(0.001)
        begun = time.perf_counter()
        task.cancel()
        await self.pool.request("nothing", None, type(None))
        return time.perf_counter() - begun

    def _is_running(self) -> bool:
        worker = self.pool._dispatcher.slots[0].worker
        return worker is not None and worker.page[0] != 0


class ExecutorPeer:
    """An executor of the standard library, or loky's, which has the same face."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._executor: Executor | None = None

    async def open(self, path: str) -> None:  # noqa: ARG002 - as all candidates
        """Start with one worker; there is no file."""
        await self.open_workers(1)

    async def open_workers(self, count: int) -> None:
        await self.close()
        self._executor = self._made(count)
        await asyncio.gather(*(self.echo(b"") for _ in range(count)))

    async def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown()

    async def echo(self, data: bytes) -> int:
        return len(await asyncio.get_running_loop().run_in_executor(self._executor, echo, data))

    async def spin(self, steps: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, spin, steps)

    async def digests(self, inputs: list[bytes]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._executor, digest, each) for each in inputs))

    def _made(self, count: int) -> Executor:
        if self._kind == "thread":
            return ThreadPoolExecutor(count)
        if self._kind == "process":
            return ProcessPoolExecutor(count, mp_context=get_context("spawn"))
        import loky  # type: ignore[import-untyped]  # noqa: PLC0415 - only this candidate has it

        executor: Executor = loky.get_reusable_executor(max_workers=count, reuse=False)
        return executor


class AnyioPeer:
    """`anyio.to_process`, which starts workers as they are needed and keeps them."""

    def __init__(self) -> None:
        self._limiter: Any = None

    async def open(self, path: str) -> None:  # noqa: ARG002 - as all candidates
        """Start with one worker; there is no file."""
        await self.open_workers(1)

    async def open_workers(self, count: int) -> None:
        import anyio  # noqa: PLC0415 - only this candidate uses it

        self._limiter = anyio.CapacityLimiter(count)
        await asyncio.gather(*(self.echo(b"") for _ in range(count)))

    async def close(self) -> None:
        """Leave the workers to anyio, which ends them with the loop."""

    async def echo(self, data: bytes) -> int:
        from anyio import to_process  # noqa: PLC0415

        return len(await to_process.run_sync(echo, data, limiter=self._limiter))

    async def spin(self, steps: int) -> None:
        from anyio import to_process  # noqa: PLC0415

        await to_process.run_sync(spin, steps, limiter=self._limiter)

    async def digests(self, inputs: list[bytes]) -> None:
        for each in inputs:
            await self.echo(each)


class AioPeer:
    """aiomultiprocess, whose workers run coroutines."""

    def __init__(self) -> None:
        self._pool: Any = None

    async def open(self, path: str) -> None:  # noqa: ARG002 - as all candidates
        """Start with one worker; there is no file."""
        await self.open_workers(1)

    async def open_workers(self, count: int) -> None:
        import aiomultiprocess  # type: ignore[import-untyped]  # noqa: PLC0415 - only this candidate has it

        await self.close()
        self._pool = aiomultiprocess.Pool(processes=count, childconcurrency=1)
        await asyncio.gather(*(self.echo(b"") for _ in range(count)))

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            await self._pool.join()

    async def echo(self, data: bytes) -> int:
        return len(await self._pool.apply(aecho, (data,)))

    async def spin(self, steps: int) -> None:
        await self._pool.apply(aspin, (steps,))

    async def digests(self, inputs: list[bytes]) -> None:
        await asyncio.gather(*(self._pool.apply(aecho, (each,)) for each in inputs))


async def aecho(data: bytes) -> bytes:
    """Return `data`."""
    return data


async def aspin(steps: int) -> int:
    """Compute."""
    return spin(steps)

"""The pools that are put to the test; each in a process of its own."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Protocol

from tests.crash.kills.work import Number, work, work_in_bulk
from workers import Kind, Pool, PoolSettings, WorkerDied, open_pool

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

WORKERS_COUNT = 4


class Lost(Exception):
    """The worker died, and the caller was told; `begun` False means that the number was surely not written."""

    def __init__(self, *, begun: bool) -> None:
        super().__init__("a worker died")
        self.begun = begun


class Subject(Protocol):
    """One pool."""

    rebuilt_count: int
    """How often the whole pool had to be made anew."""

    async def open(self, ledger: str) -> None:
        """Start the workers."""

    async def close(self) -> None:
        """End them."""

    async def call(self, number: int, data: bytes) -> tuple[int, bytes]:
        """Have a worker write `number` down and give its square, and `data` as it was.

        Raises:
            Lost: The worker died.
        """

    def writes(self, number: int) -> bool:
        """Return whether the call of `number` writes it down."""

    async def kill_one(self, chance: random.Random) -> None:
        """Kill any of the workers."""


class Ours:
    """A pool of ours, of either kind."""

    def __init__(self, kind: Kind) -> None:
        self.rebuilt_count = 0
        self._kind = kind
        self._opening: AbstractAsyncContextManager[Pool]
        self._pool: Pool

    async def open(self, ledger: str) -> None:
        settings = PoolSettings(
            kind=self._kind,
            worker_count=WORKERS_COUNT,
            spare_count=1,
            max_restarts_count=1_000_000,
            cancel_grace_s=0.02,
            terminate_grace_s=0.02,
        )
        options = {"ledger": ledger}
        self._opening = open_pool(
            "tests.crash.kills.work:Squares", options, settings, name="kills", has_lanes=False
        )
        self._pool = await self._opening.__aenter__()

    async def close(self) -> None:
        await self._opening.__aexit__(None, None, None)

    def writes(self, number: int) -> bool:
        return number % 3 != 0  # the others are only read, and may be repeated

    async def call(self, number: int, data: bytes) -> tuple[int, bytes]:
        try:
            if not self.writes(number):
                return (await self._pool.request("read", Number(number), int, idempotent=True)).value, data
            if not data:
                return (await self._pool.request("square", Number(number), int)).value, b""
            with await self._pool.request("bulk", Number(number), int, buffers=[data]) as answer:
                return answer.value, await answer.buffers[0].read()
        except WorkerDied as error:
            raise Lost(begun=error.begun) from error

    async def kill_one(self, chance: random.Random) -> None:
        if self._kind == "process":
            workers: list[Any] = [slot.worker for slot in self._pool._dispatcher.slots if slot.worker]
            if workers:
                os.kill(chance.choice(workers).pid, signal.SIGKILL)
            return
        try:
            if (
                chance.random() < 0.9
            ):  # a thread ends when its service leaves, or is left behind when it is deaf
                await self._pool.request("leave", None, type(None))
            else:
                async with asyncio.timeout(0.01):
                    await self._pool.request("stop_hearing", 5_000_000, int, idempotent=True)
        except (WorkerDied, TimeoutError):
            return


class Peer:
    """An executor of the peers: a death breaks it, so whoever sees that makes a new one, as their users do."""

    def __init__(self, make: Callable[[], Executor]) -> None:
        self.rebuilt_count = 0
        self._make = make
        self._lock = asyncio.Lock()
        self._ledger = ""
        self._executor: Executor

    async def open(self, ledger: str) -> None:
        self._ledger = ledger
        self._executor = self._make()
        await asyncio.gather(*(self.call(0, b"") for _ in range(WORKERS_COUNT)))

    async def close(self) -> None:
        await asyncio.to_thread(self._executor.shutdown, wait=True)

    def writes(self, number: int) -> bool:  # noqa: ARG002 - all do
        return True

    async def call(self, number: int, data: bytes) -> tuple[int, bytes]:
        executor = self._executor
        loop = asyncio.get_running_loop()
        try:
            if data:
                return await loop.run_in_executor(executor, work_in_bulk, self._ledger, number, data)
            return await loop.run_in_executor(executor, work, self._ledger, number), b""
        except (BrokenProcessPool, RuntimeError, OSError) as error:
            async with self._lock:
                if executor is self._executor:
                    self.rebuilt_count += 1
                    await asyncio.to_thread(executor.shutdown, wait=False)
                    self._executor = await asyncio.to_thread(self._make)
            raise Lost(begun=True) from error

    async def kill_one(self, chance: random.Random) -> None:
        executor: Any = self._executor
        pids = list(executor._processes or ())
        if pids:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)


def _futures(start_method: str) -> Executor:
    return ProcessPoolExecutor(WORKERS_COUNT, mp_context=get_context(start_method))


def _loky() -> Executor:
    import loky  # type: ignore[import-untyped]  # noqa: PLC0415 - only this subject has it

    executor: Executor = loky.get_reusable_executor(max_workers=WORKERS_COUNT, timeout=60)
    return executor


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "ours, processes": lambda: Ours("process"),
    "ours, threads": lambda: Ours("thread"),
    "concurrent.futures, spawn": lambda: Peer(partial(_futures, "spawn")),
    "concurrent.futures, fork": lambda: Peer(partial(_futures, "fork")),
    "loky": lambda: Peer(_loky),
}

"""Two databases behind one pool: a light tenant that is measured, and a heavy one that asks for all it can get."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import storage
from loadtests.percentiles import percentile
from tests.benchmarks.subjects import protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

_MAX_WAITING_COUNT = 1_000
_STRIDE = 7919
_MIB = 1024 * 1024
_BLOB_BYTES = 64 * 1024


class Neighbours:
    """`storage.open_databases` over a folder that holds the same file twice, as `light` and as `heavy`."""

    _opening: AbstractAsyncContextManager[storage.Databases]

    def __init__(self, options: str) -> None:
        kind: Literal["process", "thread"] = "thread" if options == "thread" else "process"
        self._settings = storage.StorageSettings(
            kind=kind, worker_count=2, max_queue_size=_MAX_WAITING_COUNT, max_wal_bytes=16 * _MIB
        )
        self._numbers = iter(range(1, 1_000_000_000))

    async def open(self, path: str) -> None:
        self.folder = Path(path).parent / "neighbours"
        self.folder.mkdir()
        for name in ("light", "heavy"):
            shutil.copyfile(path, self.folder / f"{name}.db")
        self._opening = storage.open_databases(self.folder, self._settings)
        databases = await self._opening.__aenter__()
        self.light, self.heavy = databases.get("light"), databases.get("heavy")

    async def close(self) -> None:
        await self._opening.__aexit__(None, None, None)

    async def read_light(self, table: str, key: int) -> None:
        await self.light.query_one(protocol.read_one(table), (key,))

    async def ask_heavily(self, table: str, row_count: int) -> None:
        """Ask once: mostly for a page, now and then for a scan whose text nobody has seen before."""
        number = next(self._numbers)
        try:
            if number % 10:
                await self.heavy.query_json(protocol.page(table), (number * _STRIDE % row_count,))
            else:
                sql = f"SELECT count(*), {number} FROM {table} WHERE note LIKE '%9{number}%'"  # noqa: S608 - ours
                await self.heavy.query_one(sql)
        except storage.StorageSaturated as error:
            await asyncio.sleep(error.retry_after_s)


async def beside_neighbour(
    candidate: Neighbours, *, table: str, row_count: int, count: int, every_s: float, callers: int
) -> dict[str, float]:
    """Begin a light read every `every_s` whatever the last one does, while `callers` of the heavy tenant ask on and on."""
    over = asyncio.Event()

    async def ask_on() -> None:
        while not over.is_set():
            await candidate.ask_heavily(table, row_count)

    heavy = [asyncio.create_task(ask_on()) for _ in range(callers)]
    times: list[float] = []

    async def read(due: float, key: int) -> None:
        await candidate.read_light(table, key)
        times.append((time.monotonic() - due) * 1e3)

    first_due = time.monotonic() + 20 * every_s
    reads: list[asyncio.Task[None]] = []
    for number in range(count):
        due = first_due + number * every_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        reads.append(asyncio.create_task(read(due, number * _STRIDE % row_count + 1)))
    await asyncio.gather(*reads)
    over.set()
    await asyncio.gather(*heavy)
    return {"p50_ms": percentile(times, 50), "p99_ms": percentile(times, 99), "worst_ms": max(times)}


async def log_under_load(candidate: Neighbours, *, written_bytes: int) -> dict[str, float]:
    """Write as much while a snapshot is held all the time, opened anew whenever it is ended."""
    db, over, ended_count = candidate.light, asyncio.Event(), 0
    log = candidate.folder / "light.db-wal"

    async def hold() -> None:
        nonlocal ended_count
        while not over.is_set():
            async with db.snapshot() as held:
                try:
                    while not over.is_set():
                        await held.query_one("SELECT count(*) FROM written")
                        await asyncio.sleep(0.01)
                except storage.ReadTooOld:
                    ended_count += 1

    holder = asyncio.create_task(hold())
    longest, begun = 0, time.monotonic()
    for _ in range(written_bytes // _BLOB_BYTES):
        await db.execute(
            "INSERT INTO written (author, body) VALUES (1, hex(zeroblob(?)))", [_BLOB_BYTES // 2]
        )
        longest = max(longest, log.stat().st_size)
    took_s = time.monotonic() - begun
    over.set()
    await holder
    return {
        "wal_mib": longest / _MIB,
        "ended": float(ended_count),
        "mib_per_s": written_bytes / _MIB / took_s,
    }


NEIGHBOUR_WORKLOADS: dict[str, Callable[..., Awaitable[dict[str, float]]]] = {
    "beside_neighbour": beside_neighbour,
    "log_under_load": log_under_load,
}

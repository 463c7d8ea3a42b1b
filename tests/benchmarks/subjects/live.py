"""Live queries of this project's storage: how long after a commit those who listen have the new answer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import storage
from loadtests.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

_ROWS_COUNT = 1_000
_MAX_QUEUE_SIZE = 2_000
"""Every listener's query may be due at once."""
_LONGEST_S = 50.0
_ASKED = "SELECT value FROM watched WHERE id = ?"
_FILL = """
WITH RECURSIVE numbers(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM numbers WHERE i < ?)
INSERT INTO watched SELECT i, 0 FROM numbers
"""


class Live:
    """`storage.open` with a table that is followed."""

    _opening: AbstractAsyncContextManager[storage.Database]

    async def open(self, path: str) -> None:
        settings = storage.StorageSettings(worker_count=2, max_queue_size=_MAX_QUEUE_SIZE)
        self._opening = storage.open(path, settings)
        self.db = await self._opening.__aenter__()
        await self.db.execute("CREATE TABLE watched (id INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT")
        await self.db.execute(_FILL, [_ROWS_COUNT])
        await self.db.follow_tables(["watched"])
        self.number = 0

    async def close(self) -> None:
        await self._opening.__aexit__(None, None, None)


async def to_event(candidate: Live, *, listeners: int, questions: int, write_count: int) -> dict[str, float]:
    """Change one of `questions` rows at a time, each of which its share of the `listeners` asks for, until all were told."""
    db = candidate.db
    committed_at: dict[int, float] = {}
    times: list[float] = []
    awaited = 0
    told = asyncio.Event()
    began = asyncio.Semaphore(0)

    async def listen(row: int) -> None:
        nonlocal awaited
        answers = db.live_query(_ASKED, [row])
        await anext(answers)
        began.release()
        async for ((value,),) in answers:
            times.append((time.monotonic() - committed_at.get(value, time.monotonic())) * 1e3)
            awaited -= 1
            if not awaited:
                told.set()

    async def change() -> None:
        nonlocal awaited
        for _ in range(listeners):
            await began.acquire()
        for _ in range(write_count):
            candidate.number += 1
            awaited = listeners // questions
            told.clear()
            row = candidate.number % questions + 1
            await db.execute("UPDATE watched SET value = ? WHERE id = ?", [candidate.number, row])
            committed_at[candidate.number] = time.monotonic()
            await told.wait()

    listening = [asyncio.create_task(listen(place % questions + 1)) for place in range(listeners)]
    changing = asyncio.create_task(change())
    done, _ = await asyncio.wait(
        [changing, *listening], timeout=_LONGEST_S, return_when=asyncio.FIRST_COMPLETED
    )
    for task in (changing, *listening):
        task.cancel()
    ends = await asyncio.gather(changing, *listening, return_exceptions=True)
    if changing not in done or changing.exception() is not None:
        raise RuntimeError(
            f"not all were told: {[end for task, end in zip((changing, *listening), ends, strict=True) if task in done]}"
        )
    return {"p50_ms": percentile(times, 50), "p99_ms": percentile(times, 99)}


LIVE_WORKLOADS: dict[str, Callable[..., Awaitable[dict[str, float]]]] = {"to_event": to_event}

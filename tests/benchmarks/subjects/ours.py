"""This project's storage with each kind of pool: `ours:process`, `ours:thread`, `ours:inline`, and `ours:process:4`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import storage
from tests.benchmarks.subjects import protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

_CALLERS_COUNT = 1_000  # of the benchmark: none of them is to be refused
_LONGEST_S = 60.0


class Ours:
    """`storage.open` with the settings that the name says, all else at its default."""

    _opening: AbstractAsyncContextManager[storage.Database]
    db: storage.Database

    def __init__(self, options: str) -> None:
        kind, _, workers = options.partition(":")
        self._settings = _settings(kind, int(workers or 2))

    async def open(self, path: str) -> None:
        self._opening = storage.open(path, self._settings)
        self.db = await self._opening.__aenter__()

    async def close(self) -> None:
        await self._opening.__aexit__(None, None, None)

    async def read_one(self, table: str, key: int) -> object:
        return await self.db.query_one(protocol.read_one(table), (key,))

    async def page_json(self, table: str, after: int) -> bytes:
        return await self.db.query_json(protocol.page(table), (after,))

    async def rows_json(self, table: str, count: int) -> int:
        walked_bytes = 0
        with await self.db.query_body(protocol.all_rows(table), (count,), timeout_s=_LONGEST_S) as body:
            for chunk in body.chunks():
                walked_bytes += len(chunk)
                await asyncio.sleep(0)  # as a server does between two sends
        return walked_bytes

    async def write_one(self, author: int) -> None:
        await self.db.execute(protocol.INSERT, (author, protocol.BODY))

    async def scan(self, steps: int) -> None:
        await self.db.query(protocol.SCAN, (steps,), timeout_s=_LONGEST_S)


def _settings(kind: str, worker_count: int) -> storage.StorageSettings:
    if kind == "inline":
        return storage.StorageSettings(use_workers=False, max_queue_size=_CALLERS_COUNT)
    chosen: Literal["process", "thread"] = "thread" if kind == "thread" else "process"
    return storage.StorageSettings(kind=chosen, worker_count=worker_count, max_queue_size=_CALLERS_COUNT)

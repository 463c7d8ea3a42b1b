"""aiosqlite with orjson: one connection, its own thread, a hop for each call.

`aiosqlite` reads by cursor as its documentation shows (three hops: execute, fetch, close); `aiosqlite-fetchall` takes
its one-hop helper. Both commit each write: autocommit, so that no caller's commit carries another's half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiosqlite
import orjson
from typing_extensions import override

from tests.benchmarks.subjects import protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class AiosqliteByCursor:
    """The documented way: `async with db.execute(...) as cursor`."""

    _db: aiosqlite.Connection

    async def open(self, path: str) -> None:
        self._db = await aiosqlite.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            await self._db.execute(f"PRAGMA {pragma}")
        self._db.row_factory = aiosqlite.Row

    async def close(self) -> None:
        await self._db.close()

    async def read_one(self, table: str, key: int) -> object:
        async with self._db.execute(protocol.read_one(table), (key,)) as cursor:
            return await cursor.fetchone()

    async def page_json(self, table: str, after: int) -> bytes:
        return _json(await self._rows(protocol.page(table), after))

    async def rows_json(self, table: str, count: int) -> int:
        return len(_json(await self._rows(protocol.all_rows(table), count)))

    async def write_one(self, author: int) -> None:
        await self._db.execute_insert(protocol.INSERT, (author, protocol.BODY))

    async def scan(self, steps: int) -> None:
        await self._rows(protocol.SCAN, steps)

    async def _rows(self, sql: str, parameter: int) -> Iterable[Any]:
        async with self._db.execute(sql, (parameter,)) as cursor:
            return await cursor.fetchall()


class AiosqliteByHelper(AiosqliteByCursor):
    """The one-hop helper `execute_fetchall`."""

    @override
    async def read_one(self, table: str, key: int) -> object:
        return await self._rows(protocol.read_one(table), key)

    @override
    async def _rows(self, sql: str, parameter: int) -> Iterable[Any]:
        return await self._db.execute_fetchall(sql, (parameter,))


def _json(rows: Iterable[Any]) -> bytes:
    return orjson.dumps([dict(row) for row in rows])

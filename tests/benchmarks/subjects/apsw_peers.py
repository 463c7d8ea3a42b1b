"""apsw in the two ways it offers by itself: its asyncio adapter (a thread per connection), and bare on the loop."""

from __future__ import annotations

from typing import Any

import apsw
import orjson

from tests.benchmarks.subjects import protocol

_PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
_COLUMNS = ("id", "name", "category", "price", "stock", "note", "updated_at_ms")


class ApswAio:
    """`apsw.Connection.as_async`: each call goes to the connection's thread."""

    _db: Any  # apsw's stubs name the async connection in stub files alone

    async def open(self, path: str) -> None:
        self._db = await apsw.Connection.as_async(path)
        for pragma in _PRAGMAS:
            await self._rows(pragma)

    async def close(self) -> None:
        await self._db.aclose()

    async def read_one(self, table: str, key: int) -> object:
        return await self._rows(protocol.read_one(table), key)

    async def page_json(self, table: str, after: int) -> bytes:
        return _json(await self._rows(protocol.page(table), after))

    async def rows_json(self, table: str, count: int) -> int:
        return len(_json(await self._rows(protocol.all_rows(table), count)))

    async def write_one(self, author: int) -> None:
        await self._db.execute(protocol.INSERT, (author, protocol.BODY))

    async def scan(self, steps: int) -> None:
        await self._rows(protocol.SCAN, steps)

    async def _rows(self, sql: str, *parameters: int) -> list[tuple[Any, ...]]:
        cursor = await self._db.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = await cursor.fetchall()
        return rows


class ApswOnLoop:
    """No pool at all: SQLite called on the loop's thread; quick for one small read, a standstill for a large one."""

    _db: apsw.Connection

    async def open(self, path: str) -> None:
        self._db = apsw.Connection(path)
        for pragma in _PRAGMAS:
            self._db.execute(pragma)

    async def close(self) -> None:
        self._db.close()

    async def read_one(self, table: str, key: int) -> object:
        return self._db.execute(protocol.read_one(table), (key,)).fetchall()

    async def page_json(self, table: str, after: int) -> bytes:
        return _json(self._db.execute(protocol.page(table), (after,)).fetchall())

    async def rows_json(self, table: str, count: int) -> int:
        return len(_json(self._db.execute(protocol.all_rows(table), (count,)).fetchall()))

    async def write_one(self, author: int) -> None:
        self._db.execute(protocol.INSERT, (author, protocol.BODY))

    async def scan(self, steps: int) -> None:
        self._db.execute(protocol.SCAN, (steps,)).fetchall()


def _json(rows: list[tuple[Any, ...]]) -> bytes:
    return orjson.dumps([dict(zip(_COLUMNS, row, strict=True)) for row in rows])

"""Many rows as NDJSON, and the ways to get them into a table: the import of the server, and what one would write by hand."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

import storage
from dataserver.imports.pieces import Target
from dataserver.imports.streaming import stream_in
from storage.sqlite.connection import prepare_library

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

_TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price REAL, amount INTEGER, tag TEXT) STRICT"
_INDEX = "CREATE INDEX t_amount ON t (amount)"
_COLUMNS = {"id": False, "name": True, "price": False, "amount": False, "tag": True}
_INSERT = "INSERT INTO t VALUES (:id, :name, :price, :amount, :tag)"
_CHUNK_BYTES = 64 * 1024
"""As a server gets it."""


def made_rows(count: int) -> bytes:
    """Return `count` rows of some 77 bytes, the same ones each time."""
    return b"".join(
        b'{"id":%d,"name":"item number %d","price":%d.25,"amount":%d,"tag":"%s"}\n'
        % (number, number, number * 7919 % 1000, number * 104_729 % 1000, b"abc" * (1 + number % 2))
        for number in range(count)
    )


def by_import(content: bytes, path: Path, *, is_whole: bool) -> dict[str, float]:
    """Store the rows as the server does, and return how many a second."""
    return asyncio.run(_imported(content, path, is_whole=is_whole))


async def _imported(content: bytes, path: Path, *, is_whole: bool) -> dict[str, float]:
    _remove(path)
    target = Target(table="t", columns=_COLUMNS, format="ndjson", stop_at_bad=is_whole)
    async with storage.open(path) as db:
        await db.execute_batch([(_TABLE, ()), (_INDEX, ())])
        begun = time.perf_counter()
        rows_count = 0
        async with aclosing(_chunks(content)) as chunks:
            async for outcome in stream_in(db, chunks, target, path.parent, timeout_s=None):
                rows_count = outcome.row_count
        return {"per_s": rows_count / (time.perf_counter() - begun)}


def by_apsw(content: bytes, path: Path) -> dict[str, float]:
    """Decode and store the rows in one transaction, as a script would, and return how many a second."""
    _remove(path)
    prepare_library()
    connection = apsw.Connection(str(path))
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"{_TABLE}; {_INDEX}")
        begun = time.perf_counter()
        rows: list[Any] = msgspec.json.Decoder(dict[str, Any]).decode_lines(content)
        with connection:
            connection.executemany(_INSERT, rows)
        return {"per_s": len(rows) / (time.perf_counter() - begun)}
    finally:
        connection.close()


async def _chunks(content: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), _CHUNK_BYTES):
        yield content[start : start + _CHUNK_BYTES]


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)

"""What a Python service author would write without us: Starlette, aiosqlite and JSONResponse, on uvicorn.

Started as `python -m tests.benchmarks.web.starlette_peer FILE PORT WAY`. One connection, opened once; WAY is how a row
is read: `cursor`, as aiosqlite's documentation shows it, or `fetchall`, its one-hop helper.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiosqlite
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.benchmarks.subjects import protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.requests import Request


@asynccontextmanager
async def _database(app: Starlette) -> AsyncIterator[None]:
    async with aiosqlite.connect(sys.argv[1]) as db:
        db.row_factory = aiosqlite.Row
        app.state.db = db
        yield


async def _by_cursor(db: aiosqlite.Connection, sql: str, parameter: int) -> Iterable[Any]:
    async with db.execute(sql, (parameter,)) as cursor:
        return await cursor.fetchall()


async def _by_helper(db: aiosqlite.Connection, sql: str, parameter: int) -> Iterable[Any]:
    return await db.execute_fetchall(sql, (parameter,))


_read = _by_helper if sys.argv[-1] == "fetchall" else _by_cursor


async def _row(request: Request) -> JSONResponse:
    sql = protocol.read_one("items")
    (row,) = await _read(request.app.state.db, sql, int(request.path_params["key"]))
    return JSONResponse(dict(row))


async def _page(request: Request) -> JSONResponse:
    sql = protocol.page("items")
    rows = await _read(request.app.state.db, sql, int(request.query_params["after"]))
    return JSONResponse({"rows": [dict(row) for row in rows]})


if __name__ == "__main__":
    uvicorn.run(
        Starlette(routes=[Route("/rows/{key:int}", _row), Route("/rows", _page)], lifespan=_database),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
        access_log=False,
    )

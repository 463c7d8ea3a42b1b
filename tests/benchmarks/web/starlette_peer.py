"""What a Python service author would write without us: Starlette, aiosqlite and JSONResponse, on uvicorn.

Started as `python -m tests.benchmarks.web.starlette_peer FILE PORT`. One connection, opened once; both of aiosqlite's
ways were tried, and the one-hop helper is taken here, the quicker one.
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
    from collections.abc import AsyncIterator

    from starlette.requests import Request


@asynccontextmanager
async def _database(app: Starlette) -> AsyncIterator[None]:
    async with aiosqlite.connect(sys.argv[1]) as db:
        db.row_factory = aiosqlite.Row
        app.state.db = db
        yield


async def _row(request: Request) -> JSONResponse:
    rows: Any = await request.app.state.db.execute_fetchall(
        protocol.READ_ONE.format(table="items"), (int(request.path_params["key"]),)
    )
    return JSONResponse(dict(rows[0]))


async def _page(request: Request) -> JSONResponse:
    rows: Any = await request.app.state.db.execute_fetchall(
        protocol.PAGE.format(table="items"), (int(request.query_params["after"]),)
    )
    return JSONResponse({"rows": [dict(row) for row in rows]})


if __name__ == "__main__":
    uvicorn.run(
        Starlette(routes=[Route("/rows/{key:int}", _row), Route("/rows", _page)], lifespan=_database),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
        access_log=False,
    )

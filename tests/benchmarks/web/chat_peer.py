"""The chat a Python service author would write without us: Starlette's WebSocket, aiosqlite, and a loop over clients.

Started as `python -m tests.benchmarks.web.chat_peer FILE PORT`. Each message is committed (WAL, FULL) before it is
acknowledged and told to everybody; there are no rights, no numbers, no resume, no bounds.
"""

from __future__ import annotations

import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiosqlite
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

_clients: set[WebSocket] = set()


@asynccontextmanager
async def _database(app: Starlette) -> AsyncIterator[None]:
    async with aiosqlite.connect(sys.argv[1]) as db:
        await db.execute("PRAGMA journal_mode = WAL")
        await db.execute("PRAGMA synchronous = FULL")
        await db.execute(
            "CREATE TABLE message (id INTEGER PRIMARY KEY, room TEXT, client_id TEXT UNIQUE, content TEXT, at REAL)"
        )
        app.state.db = db
        yield


async def _stored(db: aiosqlite.Connection, room: str, client_id: str, content: str) -> dict[str, object]:
    cursor = await db.execute(
        "INSERT INTO message (room, client_id, content, at) VALUES (?, ?, ?, ?)",
        (room, client_id, content, time.perf_counter()),
    )
    await db.commit()
    return {"id": cursor.lastrowid, "client_id": client_id, "content": content}


async def _send(request: Request) -> JSONResponse:
    body = await request.json()
    stored = await _stored(
        request.app.state.db, request.path_params["room"], body["client_id"], body["content"]
    )
    return JSONResponse(stored, status_code=201)


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            command = await socket.receive_json()
            if command["op"] == "subscribe":
                _clients.add(socket)
                await socket.send_json({"id": command["id"], "ok": {}}, mode="text")
                continue
            room, client_id, content = command["room"], command["client_id"], command["content"]
            stored = await _stored(socket.app.state.db, room, client_id, content)
            await socket.send_json({"id": command["id"], "ok": stored})
            for client in list(_clients):
                await client.send_json({"event": {"message": stored}})
    except WebSocketDisconnect:
        _clients.discard(socket)


if __name__ == "__main__":
    uvicorn.run(
        Starlette(
            routes=[
                Route("/v1/rooms/{room}/messages", _send, methods=["POST"]),
                WebSocketRoute("/v1/ws", _socket),
            ],
            lifespan=_database,
        ),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
        access_log=False,
        ws_per_message_deflate=False,
    )

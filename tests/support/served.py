"""An application served here, in the test's own process, by either server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from dataserver.server import Address, ServerName, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dataserver.socket.limits import SocketLimits

SERVERS: tuple[ServerName, ...] = ("uvicorn", "h2corn")


@asynccontextmanager
async def running(
    app: Any, server: ServerName, sockets: SocketLimits | None = None, *, drain_s: float = 1.0
) -> AsyncIterator[tuple[Address, anyio.Event]]:
    """Serve `app` while this is entered, and yield where, and what stops it sooner."""
    stop, ready, addresses = anyio.Event(), anyio.Event(), []

    def on_ready(address: Address) -> None:
        addresses.append(address)
        ready.set()

    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await serve(
                app,
                host="127.0.0.1",
                port=0,
                server=server,
                on_ready=on_ready,
                stop=stop,
                drain_s=drain_s,
                sockets=sockets,
            )

        tasks.start_soon(run)
        await ready.wait()
        yield addresses[0], stop
        stop.set()

"""The one file that knows the ASGI servers, and makes them behave alike.

Both are embedded: the listener is ours, the signals are our caller's, `stop` alone ends them. What differs:

- uvicorn bounds neither the head of a request nor the time it takes to arrive: `BoundedHttp` does, and answers
  what is no HTTP in the shape of every other error.
- h2corn (2.0.0) does not see that a client is gone over HTTP/1.1 until it writes. Its sockets are ours to look at:
  `Peers` asks the kernel whether the other end has closed, for those requests only that are open for long.
- permessage-deflate is off in both: each connection's window costs more memory than a chat message.
- uvicorn takes finished WebSocket frames (`FramedSocket`); h2corn is given texts one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import anyio
import structlog
import uvicorn
from typing_extensions import override
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import ServerState

from dataserver.bounded_http import (
    HEAD_TIMEOUT_S,
    MAX_CONNECTION_COUNT,
    MAX_HEAD_BYTES,
    MAX_HEAD_FIELDS,
    BoundedHttp,
)
from dataserver.departures import EXTENSION, Receive
from dataserver.framed_socket import FramedSocket
from dataserver.front import CLIENT_LEFT
from dataserver.listener import open_listeners
from dataserver.peers import Peer, Peers
from dataserver.socket.limits import SocketLimits

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
ServerName = Literal["uvicorn", "h2corn"]

KEEP_ALIVE_S: Final = 65
"""Above the 60 s after which the usual proxies drop an idle connection, so that it is they who do."""
_LAST_TASKS_S = 5.0

_log = structlog.get_logger(__name__)


class Stop(Protocol):
    """Something that is set once, like an event of anyio."""

    async def wait(self) -> None:
        """Return when it is set."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


async def serve(
    app: AsgiApp,
    *,
    host: str,
    port: int,
    server: ServerName = "uvicorn",
    on_ready: Callable[[Address], None],
    stop: Stop,
    drain_s: float,
    sockets: SocketLimits | None = None,
) -> None:
    """Serve `app` until `stop` is set; then let requests end for `drain_s`, and cancel those that have not.

    Args:
        app: The application; it gets the lifespan events of ASGI.
        host: A name or an address; every address of a name is listened on.
        port: 0 takes a free one.
        server: Which server speaks HTTP.
        on_ready: Called once, when connections are accepted.
        stop: Ends the server; cancelling this coroutine ends it too, without the drain.
        drain_s: How long running requests may take at the end.
        sockets: How large a message over a WebSocket may be, and how often a client is asked whether it is there.

    Raises:
        OSError: The address cannot be listened on.
    """
    listeners = await open_listeners(host, port)
    address = Address(*listeners[0].getsockname()[:2])
    sockets = sockets or SocketLimits()
    try:
        if server == "uvicorn":
            await _serve_uvicorn(
                app, listeners, lambda: on_ready(address), stop, drain_s=drain_s, sockets=sockets
            )
        else:
            await _serve_h2corn(
                app, listeners, lambda: on_ready(address), stop, drain_s=drain_s, sockets=sockets
            )
    finally:
        for listener in listeners:
            listener.close()


class _EmbeddedUvicorn(uvicorn.Server):
    """uvicorn without its signal handlers, saying when it listens, and stopping when it is told to, not at its next look."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], stop: Stop) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._stop = stop

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @override
    async def main_loop(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(super().main_loop)
            await self._stop.wait()
            tasks.cancel_scope.cancel()

    async def end_life(self) -> None:
        """End what a cancel kept uvicorn from ending: its listeners, and the task of the application's lifespan."""
        for listening in getattr(self, "servers", ()):
            listening.close()
        life = getattr(self, "lifespan", None)
        if isinstance(life, LifespanOn) and self.started and not life.shutdown_event.is_set():
            with anyio.move_on_after(_LAST_TASKS_S):
                await life.shutdown()


async def _serve_uvicorn(
    app: AsgiApp,
    listeners: list[socket.socket],
    on_ready: Callable[[], None],
    stop: Stop,
    *,
    drain_s: float,
    sockets: SocketLimits,
) -> None:
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        ws=FramedSocket,
        ws_max_size=sockets.max_frame_bytes,
        ws_ping_interval=sockets.ping_interval_s,
        ws_ping_timeout=sockets.ping_interval_s,
        ws_per_message_deflate=False,
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(drain_s),
    )
    server = _EmbeddedUvicorn(config, on_ready, stop)
    try:
        await server.serve(sockets=listeners)
    finally:
        with anyio.CancelScope(shield=True):
            await _end_requests(server.server_state)
            await server.end_life()


async def _end_requests(state: ServerState) -> None:
    """Cancel what uvicorn leaves behind: after its drain only what ignores a cancel, else everything."""
    for connection in list(state.connections):
        connection.transport.abort()
    left = set(state.tasks)
    for task in left:
        task.cancel()
    if left:
        _, stuck = await asyncio.wait(left, timeout=_LAST_TASKS_S)
        if stuck:
            _log.error("server.requests_abandoned", count=len(stuck))


async def _end_unheard(send: Send) -> None:
    """Answer a client that has left: h2corn takes an application that just returns for a broken one, and logs it."""
    try:
        await send({"type": "http.response.start", "status": CLIENT_LEFT, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    except RuntimeError:
        return  # the answer had begun


async def _serve_h2corn(
    app: AsgiApp,
    listeners: list[socket.socket],
    on_ready: Callable[[], None],
    stop: Stop,
    *,
    drain_s: float,
    sockets: SocketLimits,
) -> None:
    import h2corn  # noqa: PLC0415 - an extra: only who asks for it needs it

    config = h2corn.Config(
        bind=tuple(f"fd://{listener.fileno()}" for listener in listeners),
        lifespan="on",
        access_log=False,
        log_format="json",
        limit_connections=MAX_CONNECTION_COUNT,
        limit_request_head_size=MAX_HEAD_BYTES,
        limit_request_fields=MAX_HEAD_FIELDS,
        timeout_request_header=HEAD_TIMEOUT_S,
        timeout_keep_alive=float(KEEP_ALIVE_S),
        timeout_graceful_shutdown=drain_s,
        websocket_max_message_size=sockets.max_frame_bytes,
        websocket_ping_interval=sockets.ping_interval_s,
        websocket_ping_timeout=sockets.ping_interval_s,
        websocket_per_message_deflate=False,
    )
    peers = Peers()

    async def seeing_departures(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client is None or scope["type"] != "http" or scope["http_version"] != "1.1":
            await app(scope, receive, send)
            return
        peer = Peer(peers, (client[0], client[1]))
        scope["extensions"] = {**scope["extensions"], EXTENSION: peer.watch}
        try:
            await app(scope, receive, send)
        finally:
            peers.forget(peer.address)
        if peer.left:
            await _end_unheard(send)

    server = h2corn.Server(seeing_departures, config)
    serving = asyncio.ensure_future(server.serve())

    async def end_at_stop() -> None:
        await stop.wait()
        server.shutdown()

    try:
        await server.wait_started()
        on_ready()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_at_stop)
            await asyncio.shield(serving)
            tasks.cancel_scope.cancel()
    finally:
        if not serving.done():
            server.shutdown()
            peers.leave()  # it lets requests end for `drain_s`, however it is stopped
            with anyio.CancelScope(shield=True):
                await asyncio.wait({serving}, timeout=_LAST_TASKS_S)
        peers.close()

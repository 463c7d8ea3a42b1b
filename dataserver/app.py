"""The application: puts the parts together, and gives each request to the hot path or to the routes.

The paths are matched as they were sent, percent-encoded, so that a name or key may hold a slash.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from starlette.routing import Route as StarletteRoute
from starlette.routing import Router

from dataserver.answers import AnyAnswer
from dataserver.auth import require
from dataserver.cookies import authorization
from dataserver.departures import Departures
from dataserver.exchange import Exchange, ServerState, Services, check_accept
from dataserver.front import Front
from dataserver.held_snapshots import HeldSnapshots
from dataserver.hot.page import PageRead
from dataserver.hot.point_read import PointRead
from dataserver.hot.query import Query
from dataserver.hot.send import SendMessage
from dataserver.limits import HttpLimits
from dataserver.loop_lag import LoopLag
from dataserver.metrics import Metrics
from dataserver.recent_errors import RecentErrors
from dataserver.refusals import MethodNotAllowed, RouteNotFound
from dataserver.routes import ROUTES
from dataserver.routes.messages import SEND_LABEL
from dataserver.routes.pages import LABEL as PAGE_LABEL
from dataserver.routes.query import LABEL as QUERY_LABEL
from dataserver.routes.rows import ROW_LABEL
from dataserver.running_backups import RunningBackups
from dataserver.schemas import Schemas
from dataserver.socket.hub import Hub
from dataserver.socket.limits import SocketLimits
from dataserver.socket.sockets import PATH as SOCKET_PATH
from dataserver.socket.sockets import Sockets, refuse
from dataserver.vital_counts import vitals_of
from dataserver.worker_control import Stored, WorkerControl
from workers import SystemClock

if TYPE_CHECKING:
    from chat import Chat
    from dataserver.answers import Send
    from dataserver.auth import TokenStore
    from dataserver.departures import Receive, Visit
    from dataserver.route import Route
    from storage import BackupFolder, Databases

Scope = MutableMapping[str, Any]

_UNKNOWN: Final = "unknown route"
_SHORT_PARTS: Final = 5
_PAGE_PARTS: Final = 7
_POINT_PARTS: Final = 8


def build_application(
    databases: Databases,
    tokens: TokenStore,
    metrics: Metrics | None = None,
    settings: HttpLimits | None = None,
    *,
    backups: BackupFolder,
    chat: Chat | None = None,
    sockets: SocketLimits | None = None,
) -> Application:
    """Return the application over what the caller has opened, and closes when it is served no more."""
    return Application(
        databases,
        tokens,
        metrics or Metrics(LoopLag()),
        settings or HttpLimits(),
        backups=backups,
        chat=chat,
        sockets=sockets or SocketLimits(),
    )


class Application:
    """All of the HTTP side, as one ASGI application; it begins and ends with the server's lifespan events."""

    def __init__(
        self,
        databases: Databases,
        tokens: TokenStore,
        metrics: Metrics,
        limits: HttpLimits,
        *,
        backups: BackupFolder,
        chat: Chat | None,
        sockets: SocketLimits,
    ) -> None:
        self._departures = Departures()
        self._metrics = metrics
        self._state = ServerState(routes=ROUTES, started_at=SystemClock().monotonic())
        self._hub = Hub(sockets)
        clock = SystemClock()
        errors = RecentErrors(clock)
        stored: dict[str, Stored] = {"databases": databases, "tokens": tokens.database}
        if chat is not None:
            stored["chat"] = chat.tables.database
        workers = WorkerControl(stored)
        self._vitals = vitals_of(
            metrics=metrics, workers=workers, departures=self._departures, hub=self._hub, clock=clock
        )
        self._sockets = None if chat is None else Sockets(chat, self._hub, chat.accounts.authenticate)
        if chat is not None:
            chat.feed.listen_everywhere(self._hub, has_use=lambda: self._hub.open_count > 0)
            chat.accounts.on_ended(lambda ended: self._hub.end_session(ended.user_id, ended.device_id))
        self._services = Services(
            databases=databases,
            tokens=tokens,
            metrics=metrics,
            limits=limits,
            schemas=Schemas(databases, clock),
            snapshots=HeldSnapshots(clock),
            backups=backups,
            opened_chat=chat,
            departures=self._departures,
            state=self._state,
            hub=self._hub,
            vitals=self._vitals,
            errors=errors,
            workers=workers,
            running_backups=RunningBackups(clock),
        )
        if chat is not None:
            tokens.accept_sessions(chat.accounts.authenticate)
        metrics.observe(
            report=databases.report,
            open_count=lambda: self._departures.open_count,
            departed_count=lambda: self._departures.departed_count,
            hub=self._hub,
        )
        self._front = Front(self._departures, metrics, errors)
        self._point_read = PointRead(self._services)
        self._page_read = PageRead(self._services)
        self._query = Query(self._services)
        self._send = SendMessage(self._services)
        self._router = _router(ROUTES, self._services, self._front)

    def drain(self) -> None:
        """Tell that the server stops: `/readyz` answers 503, sockets and streams of events end, everything else goes on."""
        self._state.draining = True
        self._services.databases.wake_followers()
        self._hub.drain()

    async def until_told(self, limit_s: float) -> None:
        """Wait until every socket was told of the drain and is closed, for `limit_s` at most."""
        await self._hub.until_empty(limit_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
            parts = raw_path.split(b"/")
            hot = self._hot(scope["method"], parts)
            if hot is None:
                routed = {**scope, "path": raw_path.decode("latin-1"), "raw_path": raw_path, "root_path": ""}
                await self._router(routed, receive, send)
            else:
                label, handle = hot
                await self._front.run(label, handle, parts, scope=scope, receive=receive, send=send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._sockets is not None and scope["path"] == SOCKET_PATH:
            await self._sockets(scope, receive, send)
        else:
            await receive()
            await refuse(RouteNotFound(f"there is no WebSocket at {scope['path']!r}"), scope, send)

    def _hot(
        self, method: str, parts: list[bytes]
    ) -> tuple[str, PointRead | PageRead | Query | SendMessage] | None:
        """Return the label and the handler of a hot path; None for every other one."""
        length = len(parts)
        if length == _POINT_PARTS and method == "GET" and self._point_read.matches(parts):
            return ROW_LABEL, self._point_read
        if length == _PAGE_PARTS and method == "GET" and self._page_read.matches(parts):
            return PAGE_LABEL, self._page_read
        if length == _SHORT_PARTS and method == "POST":
            if self._send.matches(parts):
                return SEND_LABEL, self._send
            if self._query.matches(parts):
                return QUERY_LABEL, self._query
        return None

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._metrics.lag.start()
                self._vitals.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self._departures.close()
                self._hub.close()
                self._vitals.close()
                self._metrics.lag.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _router(routes: tuple[Route, ...], services: Services, front: Front) -> Router:
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    nowhere = _Resource(services, front, {})
    found = [StarletteRoute(path, _Resource(services, front, methods)) for path, methods in by_path.items()]
    return Router(found, redirect_slashes=False, default=nowhere)


class _Resource:
    """One address, with the routes of its methods; without any, the address that does not exist."""

    def __init__(self, services: Services, front: Front, methods: Mapping[str, Route]) -> None:
        self._services = services
        self._front = front
        self._methods = dict(methods)
        if "GET" in methods:
            self._methods["HEAD"] = methods["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._methods.get(scope["method"])
        label = _UNKNOWN if route is None else route.label
        await self._front.run(label, self._handle, route, scope=scope, receive=receive, send=send)

    async def _handle(self, visit: Visit, scope: Scope, route: Route | None) -> AnyAnswer:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        said = authorization(headers, scope["method"])
        principal, session = None, None
        if route is None:
            self._services.tokens.recognise(said)
        elif route.role == "user":
            session = self._services.chat.accounts.authenticate(said)
        elif route.role is not None:
            principal = self._services.tokens.authenticate(said)
        if route is None:
            if not self._methods:
                raise RouteNotFound(f"there is no {unquote(scope['path'])!r}")
            allowed = sorted(self._methods)
            raise MethodNotAllowed(
                f"{scope['method']} is not for this address; {', '.join(allowed)} are", allowed=allowed
            )
        if principal is not None and route.role is not None and route.role != "user":
            require(principal, route.role)
        check_accept(headers, route.media)
        raw: dict[str, str] = scope.get("path_params", {})
        exchange = Exchange(
            self._services,
            visit,
            scope=scope,
            headers=headers,
            principal=principal,
            session=session,
            path={name: unquote(value) for name, value in raw.items()},
            raw_path={name: value.encode("latin-1") for name, value in raw.items()},
        )
        return await route.handle(exchange)

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
from dataserver.departures import Departures
from dataserver.exchange import Exchange, ServerState, Services, check_accept
from dataserver.front import Front
from dataserver.hot.point_read import PointRead
from dataserver.hot.query import Query
from dataserver.limits import HttpLimits
from dataserver.loop_lag import LoopLag
from dataserver.metrics import Metrics
from dataserver.refusals import MethodNotAllowed, RouteNotFound
from dataserver.routes import ROUTES
from dataserver.schemas import Schemas
from workers import SystemClock

if TYPE_CHECKING:
    from dataserver.answers import Send
    from dataserver.auth import TokenStore
    from dataserver.departures import Receive, Visit
    from dataserver.routes.route import Route
    from storage import Databases

Scope = MutableMapping[str, Any]

_UNKNOWN: Final = "unknown route"
_QUERY_PARTS: Final = 5
_POINT_PARTS: Final = 8


def build_application(
    databases: Databases,
    tokens: TokenStore,
    metrics: Metrics | None = None,
    settings: HttpLimits | None = None,
) -> Application:
    """Return the application over what the caller has opened, and closes when it is served no more."""
    return Application(databases, tokens, metrics or Metrics(LoopLag()), settings or HttpLimits())


class Application:
    """All of the HTTP side, as one ASGI application; it begins and ends with the server's lifespan events."""

    def __init__(
        self, databases: Databases, tokens: TokenStore, metrics: Metrics, limits: HttpLimits
    ) -> None:
        self._departures = Departures()
        self._metrics = metrics
        self._state = ServerState(routes=ROUTES)
        self._services = Services(
            databases=databases,
            tokens=tokens,
            metrics=metrics,
            limits=limits,
            schemas=Schemas(databases, SystemClock()),
            departures=self._departures,
            state=self._state,
        )
        metrics.observe(
            statistics=databases.statistics,
            open_count=lambda: self._departures.open_count,
            departed_count=lambda: self._departures.departed_count,
        )
        self._front = Front(self._departures, metrics)
        self._point_read = PointRead(self._services, self._front)
        self._query = Query(self._services, self._front)
        self._router = _router(ROUTES, self._services, self._front)

    def drain(self) -> None:
        """Tell that the server stops: `/readyz` answers 503 from now on, everything else goes on."""
        self._state.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            await self._handle(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": "there is no WebSocket here"})

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        parts = raw_path.split(b"/")
        if len(parts) == _POINT_PARTS and scope["method"] == "GET" and self._point_read.matches(parts):
            await self._point_read.handle(scope, receive, send, parts)
        elif len(parts) == _QUERY_PARTS and scope["method"] == "POST" and self._query.matches(parts):
            await self._query.handle(scope, receive, send, parts)
        else:
            await self._router({**scope, "path": raw_path.decode("latin-1"), "root_path": ""}, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._metrics.lag.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self._departures.close()
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

        async def handle(visit: Visit) -> AnyAnswer:
            return await self._exchanged(visit, scope, route)

        await self._front.run(_UNKNOWN if route is None else route.label, handle, scope, receive, send)

    async def _exchanged(self, visit: Visit, scope: Scope, route: Route | None) -> AnyAnswer:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        principal = None
        if route is None or route.role is not None:
            principal = self._services.tokens.authenticate(headers.get(b"authorization"))
        if route is None:
            if not self._methods:
                raise RouteNotFound(f"there is no {unquote(scope['path'])!r}")
            allowed = sorted(self._methods)
            raise MethodNotAllowed(
                f"{scope['method']} is not for this address; {', '.join(allowed)} are", allowed=allowed
            )
        if route.role is not None and principal is not None:
            require(principal, route.role)
        check_accept(headers, route.media)
        raw: dict[str, str] = scope.get("path_params", {})
        exchange = Exchange(
            self._services,
            visit,
            scope=scope,
            headers=headers,
            principal=principal,
            path={name: unquote(value) for name, value in raw.items()},
            raw_path={name: value.encode("latin-1") for name, value in raw.items()},
        )
        return await route.handle(exchange)

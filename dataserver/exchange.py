"""One request as a handler sees it, and what all handlers work on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from dataserver.refusals import (
    BodyTooLarge,
    InvalidBody,
    InvalidParameter,
    NotAcceptable,
    RouteNotFound,
    Unauthenticated,
    UnsupportedMediaType,
)
from dataserver.wire import json_value

if TYPE_CHECKING:
    from chat import Chat, Session
    from dataserver.auth import Principal, TokenStore
    from dataserver.departures import Departures, Visit
    from dataserver.held_snapshots import HeldSnapshots
    from dataserver.limits import HttpLimits
    from dataserver.metrics import Metrics
    from dataserver.recent_errors import RecentErrors
    from dataserver.route import Route
    from dataserver.running_backups import RunningBackups
    from dataserver.schemas import Schemas, Table
    from dataserver.socket.hub import Hub
    from dataserver.vitals import Vitals
    from dataserver.worker_control import WorkerControl
    from storage import BackupFolder, Databases

TIMEOUT_HEADER: Final = b"request-timeout-ms"
TIMEOUT_PARAMETER: Final = "timeout_ms"
MAX_PARAMETER_COUNT: Final = 64

_T = TypeVar("_T")
_TIMEOUT_NAME: Final = TIMEOUT_PARAMETER.encode()
_JSON_TYPE: Final = b"application/json"
_UNSAID_TYPE: Final = b"application/x-www-form-urlencoded"
"""What curl says of a body whose type nobody named. No page can misuse it: a browser sends no token by itself."""
_MAX_DIGITS: Final = 12
_BETWEEN_PIECES_S: Final = 3_600.0
"""How long a handler may be busy with one piece of a body; storage's deadlines come long before."""


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers work on; built once, by `app.py`."""

    databases: Databases
    tokens: TokenStore
    metrics: Metrics
    limits: HttpLimits
    schemas: Schemas
    snapshots: HeldSnapshots
    backups: BackupFolder
    departures: Departures
    state: ServerState
    hub: Hub
    vitals: Vitals
    errors: RecentErrors
    workers: WorkerControl
    running_backups: RunningBackups
    opened_chat: Chat | None = None

    @property
    def chat(self) -> Chat:
        """The chat.

        Raises:
            RouteNotFound: There is none here.
        """
        if self.opened_chat is None:
            raise RouteNotFound("there is no chat here")
        return self.opened_chat


@dataclass(slots=True)
class ServerState:
    """What changes while the server runs."""

    routes: tuple[Route, ...]
    started_at: float
    """In monotonic seconds."""
    draining: bool = False
    """Whether it stops: `/readyz` answers 503, everything else goes on."""
    imports_count: int = 0
    """How many imports run."""


class Exchange:
    """One request, authenticated and routed."""

    __slots__ = (
        "_named",
        "_query",
        "_session",
        "headers",
        "path",
        "principal",
        "raw_path",
        "scope",
        "services",
        "visit",
    )

    def __init__(
        self,
        services: Services,
        visit: Visit,
        *,
        scope: MutableMapping[str, Any],
        headers: dict[bytes, bytes],
        principal: Principal | None,
        path: Mapping[str, str],
        raw_path: Mapping[str, bytes],
        session: Session | None = None,
    ) -> None:
        self.services = services
        self.scope = scope
        self.headers = headers
        self.visit = visit
        self.principal = principal
        self._session = session
        self.path = path
        """The path's parameters, decoded."""
        self.raw_path = raw_path
        """The same, as they were sent."""
        self._query: list[tuple[str, str]] | None = None
        self._named: dict[str, str] | None = None

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's parameters, in their order.

        Raises:
            InvalidParameter: They are too many.
        """
        if self._query is None:
            self._query = query_pairs(self.scope["query_string"])
        return self._query

    @property
    def session(self) -> Session:
        """Who is logged in; for routes that need the role `user`.

        Raises:
            Unauthenticated: Nobody is.
        """
        if self._session is None:
            raise Unauthenticated("log in first: send `Authorization: Bearer TOKEN`")
        return self._session

    def parameter(self, name: str) -> str | None:
        """Return the last parameter of the query called `name`, if there is one."""
        if self._named is None:
            self._named = dict(self.query)
        return self._named.get(name)

    @property
    def timeout_s(self) -> float | None:
        """How long the client gives this request; None leaves it to storage's settings.

        Raises:
            InvalidParameter: It is no whole number of milliseconds above 0.
        """
        return requested_timeout_s(self.headers, self.scope["query_string"], self.services.limits)

    async def body(self) -> bytes:
        """Return the request's body.

        Raises:
            BodyTooLarge: It is longer than the limit; the rest is not read.
        """
        return await whole_body(self.visit, self.headers, self.services)

    def body_stream(self, *, most_bytes: int) -> AsyncGenerator[bytes]:
        """Return the request's body as it arrives.

        Raises:
            BodyTooLarge: It is, or says that it is, longer than `most_bytes`.
            InvalidBody: The client left before it had sent all of it.
        """
        return _streamed_body(self.visit, self.headers, self.services, most_bytes)

    async def json(self, decoder: msgspec.json.Decoder[_T]) -> _T:
        """Return the request's body as the decoder's type.

        Raises:
            UnsupportedMediaType: It says that it is something else than JSON.
            InvalidBody: It is none, or not of that type.
        """
        check_content_type(self.headers)
        return json_value(decoder, await self.body())

    async def with_table(self, act: Callable[[Table], Awaitable[_T]]) -> _T:
        """Do `act` on the table that the path names; once more, should its schema have changed meanwhile."""
        return await self.services.schemas.using(self.path["db"], self.path["table"], act)


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """Return the parameters of a query, decoded, in their order.

    Raises:
        InvalidParameter: They are too many.
    """
    if not query:
        return []
    try:
        return parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETER_COUNT)
    except ValueError as error:
        raise InvalidParameter(f"the query has more than {MAX_PARAMETER_COUNT} parameters") from error


def requested_timeout_s(headers: Mapping[bytes, bytes], query: bytes, limits: HttpLimits) -> float | None:
    """Return the deadline that the query (or else a header) asks for, in seconds, cut to the limit; None without one.

    Raises:
        InvalidParameter: It is no whole number of milliseconds above 0.
    """
    text = headers.get(TIMEOUT_HEADER)
    if query and _TIMEOUT_NAME in query:
        text = dict(query_pairs(query)).get(TIMEOUT_PARAMETER, "").encode() or text
    if text is None:
        return None
    if not text.isdigit() or len(text) > _MAX_DIGITS or int(text) == 0:
        raise InvalidParameter(
            f"{TIMEOUT_PARAMETER} is {text.decode(errors='replace')!r}; a whole number above 0 is allowed"
        )
    return min(int(text) / 1000, limits.max_timeout_s)


def check_content_type(headers: Mapping[bytes, bytes]) -> None:
    """Let JSON pass, and a body that does not say what it is.

    Raises:
        UnsupportedMediaType: The body is something else.
    """
    check_content_coding(headers)
    sent = headers.get(b"content-type", _JSON_TYPE)
    if sent != _JSON_TYPE and sent.partition(b";")[0].strip().lower() not in {_JSON_TYPE, _UNSAID_TYPE}:
        raise UnsupportedMediaType(
            f"the body is {sent.decode(errors='replace')!r}; send application/json",
            allowed=["application/json"],
        )


def check_content_coding(headers: Mapping[bytes, bytes]) -> None:
    """Let a body pass that is sent as it is.

    Raises:
        UnsupportedMediaType: It is compressed.
    """
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.lower() != b"identity":
        raise UnsupportedMediaType(
            f"the body is encoded as {coding.decode(errors='replace')!r}; send it as it is",
            allowed=["identity"],
        )


def accepts(headers: Mapping[bytes, bytes], media: bytes) -> bool:
    """Tell whether the client takes an answer of the type `media`."""
    wanted = headers.get(b"accept")
    if wanted is None or b"*/*" in wanted:
        return True
    kind = media.partition(b";")[0]
    family = kind.partition(b"/")[0] + b"/*"
    for part in wanted.lower().split(b","):
        name, *parameters = (piece.strip() for piece in part.split(b";"))
        if name in {kind, family} and not any(p in {b"q=0", b"q=0.0"} for p in parameters):
            return True
    return False


def check_accept(headers: Mapping[bytes, bytes], media: tuple[bytes, ...]) -> None:
    """Let a client pass that takes one of the types in `media`.

    Raises:
        NotAcceptable: It takes none of them.
    """
    wanted = headers.get(b"accept", b"*/*")
    if wanted != b"*/*" and not any(accepts(headers, each) for each in media):
        allowed = [each.decode() for each in media]
        raise NotAcceptable(f"this answers as {' or '.join(allowed)} only", allowed=allowed)


async def whole_body(visit: Visit, headers: Mapping[bytes, bytes], services: Services) -> bytes:
    """Return the body of a request; whoever sends it too slowly is cancelled by `departures`.

    Raises:
        BodyTooLarge: It is, or says that it is, longer than the limit; the rest is not read.
        InvalidBody: The client left before it had sent all of it.
    """
    limits = services.limits
    declared = headers.get(b"content-length")
    if declared is not None and _exceeds(declared, limits.max_body_bytes):
        raise _too_large(limits.max_body_bytes)
    services.departures.expect_body(visit, limits.body_timeout_s)
    message = await visit.receive()
    body: bytes | bytearray = message.get("body", b"")
    if message.get("more_body", False):
        body = bytearray(body)  # and no list of pieces: each may be a single byte
        while message.get("more_body", False) and len(body) <= limits.max_body_bytes:
            message = await visit.receive()
            body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise InvalidBody("the body ended early")
    services.departures.body_came(visit)
    if len(body) > limits.max_body_bytes:
        raise _too_large(limits.max_body_bytes)
    return bytes(body)


async def _streamed_body(
    visit: Visit, headers: Mapping[bytes, bytes], services: Services, most_bytes: int
) -> AsyncGenerator[bytes]:
    departures, limits = services.departures, services.limits
    if _exceeds(headers.get(b"content-length", b"0"), most_bytes):
        raise _too_large(most_bytes)
    came_bytes, is_more = 0, True
    while is_more:
        departures.expect_body(visit, limits.body_timeout_s)
        message = await visit.receive()
        departures.expect_body(
            visit, _BETWEEN_PIECES_S
        )  # the rest of the body is still ours alone to receive
        if message["type"] == "http.disconnect":
            raise InvalidBody("the body ended early")
        piece: bytes = message.get("body", b"")
        is_more = message.get("more_body", False)
        came_bytes += len(piece)
        if came_bytes > most_bytes:
            raise _too_large(most_bytes)
        if not is_more:
            departures.body_came(visit)
        if piece:
            yield piece


def _exceeds(declared: bytes, most: int) -> bool:
    return declared.isdigit() and (len(declared) > _MAX_DIGITS or int(declared) > most)


def _too_large(most_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is longer than {most_bytes} bytes", limit_bytes=most_bytes)

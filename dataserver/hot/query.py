"""`POST /v1/databases/{db}/query`, the shortest way: the same answers as the route `post_query`."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dataserver.answers import JSON, AnyAnswer, BodyAnswer
from dataserver.exchange import check_accept, check_content_type, requested_timeout_s, whole_body
from dataserver.routes.query import DECODER, LABEL
from dataserver.rows.writes import sql_params
from dataserver.wire import json_value

if TYPE_CHECKING:
    from dataserver.answers import Send
    from dataserver.departures import Receive, Visit
    from dataserver.exchange import Services
    from dataserver.front import Front

_MEDIA = (JSON,)


class Query:
    """Runs one statement that reads."""

    def __init__(self, services: Services, front: Front) -> None:
        self._services = services
        self._front = front

    @staticmethod
    def matches(parts: list[bytes]) -> bool:
        """Tell whether a path of five parts is the address of queries."""
        return parts[4] == b"query" and parts[2] == b"databases" and parts[1] == b"v1"

    async def handle(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, parts: list[bytes]
    ) -> None:
        """Answer what the statement returns, or what is wrong."""

        async def read(visit: Visit) -> AnyAnswer:
            return await self._read(visit, scope, parts)

        await self._front.run(LABEL, read, scope, receive, send)

    async def _read(self, visit: Visit, scope: MutableMapping[str, Any], parts: list[bytes]) -> AnyAnswer:
        services = self._services
        headers: dict[bytes, bytes] = dict(scope["headers"])
        services.tokens.authenticate(headers.get(b"authorization"))  # the least role reads
        check_accept(headers, _MEDIA)
        check_content_type(headers)
        timeout_s = requested_timeout_s(headers, scope["query_string"], services.limits)
        asked = json_value(DECODER, await whole_body(visit, headers, services))
        handle = services.databases.get(unquote(parts[3].decode("latin-1")))
        return BodyAnswer(
            await handle.query_body(
                asked.sql, sql_params(asked.params), shape=asked.shape, envelope=True, timeout_s=timeout_s
            )
        )

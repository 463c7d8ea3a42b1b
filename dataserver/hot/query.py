"""`POST /v1/databases/{db}/query`, the shortest way: the same answers as the route `post_query`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from dataserver.answers import JSON, AnyAnswer, BodyAnswer
from dataserver.exchange import check_accept, check_content_type, requested_timeout_s, whole_body
from dataserver.routes.query import DECODER
from dataserver.rows.writes import sql_params
from dataserver.wire import json_value

if TYPE_CHECKING:
    from dataserver.departures import Visit
    from dataserver.exchange import Services
    from dataserver.front import Scope

_MEDIA = (JSON,)


class Query:
    """Runs one statement that reads."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @staticmethod
    def matches(parts: list[bytes]) -> bool:
        """Tell whether a path of five parts is the address of queries."""
        return parts[4] == b"query" and parts[2] == b"databases" and parts[1] == b"v1"

    async def __call__(self, visit: Visit, scope: Scope, parts: list[bytes]) -> AnyAnswer:
        """Answer what the statement returns, on the database whose address has these parts."""
        services = self._services
        headers: dict[bytes, bytes] = dict(scope["headers"])
        services.tokens.authenticate(headers.get(b"authorization"))  # the least role reads
        check_accept(headers, _MEDIA)
        check_content_type(headers)
        timeout_s = requested_timeout_s(headers, scope["query_string"], services.limits)
        asked = json_value(DECODER, await whole_body(visit, headers, services))
        database = services.databases.get(unquote(parts[3].decode("latin-1")))
        params = sql_params(asked.params)
        return BodyAnswer(
            await database.query_body(
                asked.sql, params, shape=asked.shape, envelope=True, timeout_s=timeout_s
            )
        )

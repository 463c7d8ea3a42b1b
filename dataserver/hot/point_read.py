"""`GET /v1/databases/{db}/tables/{table}/rows/{key}`, the shortest way: the same answers as the route `get_row`."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dataserver.answers import JSON, AnyAnswer
from dataserver.exchange import check_accept, requested_timeout_s
from dataserver.routes.rows import LABEL, addressed_key, row_answer
from dataserver.rows.keys import key_values
from storage import SqlError

if TYPE_CHECKING:
    from dataserver.answers import Send
    from dataserver.departures import Receive, Visit
    from dataserver.exchange import Services
    from dataserver.front import Front
    from dataserver.schemas import Table

_MEDIA = (JSON,)


class PointRead:
    """Reads one row by its key."""

    def __init__(self, services: Services, front: Front) -> None:
        self._services = services
        self._front = front

    @staticmethod
    def matches(parts: list[bytes]) -> bool:
        """Tell whether a path of eight parts is the address of a row."""
        return (
            parts[6] == b"rows" and parts[4] == b"tables" and parts[2] == b"databases" and parts[1] == b"v1"
        )

    async def handle(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, parts: list[bytes]
    ) -> None:
        """Answer the row, or what is wrong."""

        async def read(_visit: Visit) -> AnyAnswer:
            return await self._read(scope, parts)

        await self._front.run(LABEL, read, scope, receive, send)

    async def _read(self, scope: MutableMapping[str, Any], parts: list[bytes]) -> AnyAnswer:
        services = self._services
        headers: dict[bytes, bytes] = dict(scope["headers"])
        services.tokens.authenticate(headers.get(b"authorization"))  # the least role reads
        check_accept(headers, _MEDIA)
        database, name = unquote(parts[3].decode("latin-1")), unquote(parts[5].decode("latin-1"))
        timeout_s = requested_timeout_s(headers, scope["query_string"], services.limits)

        async def read(table: Table) -> AnyAnswer:
            values = key_values(addressed_key(table), parts[7])
            handle = services.databases.get(database)
            return row_answer(
                await handle.query_json(table.point_sql, values, timeout_s=timeout_s), table, parts[7]
            )

        known = services.schemas.known(database, name)
        if known is not None:
            try:
                return await read(known)
            except SqlError:
                services.schemas.forget(database)
        return await services.schemas.using(database, name, read)

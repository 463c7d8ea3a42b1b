"""`GET /v1/databases/{db}/tables/{table}/rows/{key}`, the shortest way: the same answers as the route `get_row`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from dataserver.answers import JSON, AnyAnswer
from dataserver.exchange import check_accept, requested_timeout_s
from dataserver.routes.rows import addressed_key, row_answer
from dataserver.rows.keys import key_values
from storage import SqlError

if TYPE_CHECKING:
    from dataserver.departures import Visit
    from dataserver.exchange import Services
    from dataserver.front import Scope
    from dataserver.schemas import Table

_MEDIA = (JSON,)


class PointRead:
    """Reads one row by its key."""

    def __init__(self, services: Services) -> None:
        self._databases = services.databases
        self._schemas = services.schemas
        self._authenticate = services.tokens.authenticate
        self._limits = services.limits

    @staticmethod
    def matches(parts: list[bytes]) -> bool:
        """Tell whether a path of eight parts is the address of a row."""
        return (
            parts[6] == b"rows" and parts[4] == b"tables" and parts[2] == b"databases" and parts[1] == b"v1"
        )

    async def __call__(self, _visit: Visit, scope: Scope, parts: list[bytes]) -> AnyAnswer:
        """Answer the row whose address has these parts."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self._authenticate(headers.get(b"authorization"))  # the least role reads
        check_accept(headers, _MEDIA)
        timeout_s = requested_timeout_s(headers, scope["query_string"], self._limits)
        database, name, address = parts[3].decode("latin-1"), parts[5].decode("latin-1"), parts[7]
        if b"%" in scope["raw_path"]:
            database, name = unquote(database), unquote(name)
        known = self._schemas.known(database, name)
        if known is not None:
            try:
                handle = self._databases.get(database)
                values = key_values(addressed_key(known), address)
                return row_answer(
                    await handle.query_json(known.point_sql, values, timeout_s=timeout_s), known, address
                )
            except SqlError:
                self._schemas.forget(database)

        async def read(table: Table) -> AnyAnswer:
            values = key_values(addressed_key(table), address)
            rows = await self._databases.get(database).query_json(
                table.point_sql, values, timeout_s=timeout_s
            )
            return row_answer(rows, table, address)

        return await self._schemas.using(database, name, read)

"""`GET /v1/databases/{db}/tables/{table}/rows`, the shortest way: the same answers as the route `get_rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from dataserver.answers import JSON, AnyAnswer
from dataserver.exchange import Exchange, check_accept
from dataserver.routes.pages import page_of

if TYPE_CHECKING:
    from dataserver.departures import Visit
    from dataserver.exchange import Services
    from dataserver.front import Scope

_MEDIA = (JSON,)


class PageRead:
    """Reads a page of rows."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @staticmethod
    def matches(parts: list[bytes]) -> bool:
        """Tell whether a path of seven parts is the address of a table's rows."""
        return (
            parts[6] == b"rows" and parts[4] == b"tables" and parts[2] == b"databases" and parts[1] == b"v1"
        )

    async def __call__(self, visit: Visit, scope: Scope, parts: list[bytes]) -> AnyAnswer:
        """Answer a page of the table whose rows' address has these parts."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        principal = self._services.tokens.authenticate(headers.get(b"authorization"))  # the least role reads
        check_accept(headers, _MEDIA)
        path = {"db": unquote(parts[3].decode("latin-1")), "table": unquote(parts[5].decode("latin-1"))}
        exchange = Exchange(
            self._services, visit, scope=scope, headers=headers, principal=principal, path=path, raw_path={}
        )
        known = self._services.schemas.known(path["db"], path["table"])
        if known is not None:
            return await page_of(exchange, known)
        return await exchange.with_table(lambda table: page_of(exchange, table))

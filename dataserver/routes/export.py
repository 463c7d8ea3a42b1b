"""`/v1/databases/{db}/export`: answers of any size, as CSV or NDJSON, in pieces as they are read.

What is held is one piece; a reader that does not read stops the query, one that leaves ends it. A failure after the
first piece breaks the connection off, so that half an export never looks whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final, Literal

import msgspec

from dataserver.answers import CSV, NDJSON, AnyAnswer, stream_answer
from dataserver.exchange import Exchange, accepts
from dataserver.refusals import (
    InvalidBody,
    InvalidParameter,
    NotAcceptable,
    TableNotFound,
    UnknownColumn,
    UnknownOperator,
)
from dataserver.route import Parameter, Route
from dataserver.routes.query import READ_REFUSALS, TIMEOUT
from dataserver.rows.filters import conditions
from dataserver.rows.pages import export
from dataserver.rows.writes import sql_params
from dataserver.wire import ExportRequest

Format = Literal["csv", "ndjson"]

_MEDIA: Final[dict[Format, bytes]] = {"ndjson": NDJSON, "csv": CSV}
_DECODER: Final = msgspec.json.Decoder(ExportRequest)


async def get_export(exchange: Exchange) -> AnyAnswer:
    """Stream the rows of a table that meet the filters, in the order asked for."""
    name = exchange.parameter("table")
    if name is None:
        raise InvalidParameter("`table` is missing: which one is to be exported")
    if exchange.parameter("search") is not None:
        raise InvalidParameter("an export has no `search`; read pages of the table's rows instead")
    table = await exchange.services.schemas.table(exchange.path["db"], name)
    wanted_order = exchange.parameter("order")
    order = None if wanted_order is None else table.order(wanted_order)
    statement = export(name, table.key, conditions(exchange.query, table.columns), order)
    wanted = exchange.parameter("format")
    if wanted not in {None, "csv", "ndjson"}:
        raise InvalidParameter(f"format is {wanted!r}; allowed are csv and ndjson", allowed=list(_MEDIA))
    return await _stream(exchange, statement.sql, statement.params, _format(exchange, wanted))


async def post_export(exchange: Exchange) -> AnyAnswer:
    """Stream what a statement returns."""
    asked = await exchange.json(_DECODER)
    return await _stream(exchange, asked.sql, sql_params(asked.params), _format(exchange, asked.format))


def _format(exchange: Exchange, wanted: Any) -> Format:
    """Return the format that was asked for by name, or else the first one that the client accepts."""
    for name, media in _MEDIA.items():
        if name == wanted or (wanted is None and accepts(exchange.headers, media)):
            return name
    allowed = [media.decode() for media in _MEDIA.values()]
    raise NotAcceptable(f"an export is {' or '.join(allowed)}", allowed=allowed)


async def _stream(exchange: Exchange, sql: str, params: Any, form: Format) -> AnyAnswer:
    database = exchange.services.databases.get(exchange.path["db"])
    chunks: AsyncGenerator[bytes, None] = database.stream_json(
        sql, params, format=form, timeout_s=exchange.timeout_s
    )
    name = exchange.path["db"].encode()
    disposition = b'attachment; filename="%b.%b"' % (name, form.encode())
    return await stream_answer(chunks, _MEDIA[form], ((b"content-disposition", disposition),))


_PATH = "/v1/databases/{db}/export"

ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        role="read",
        handle=get_export,
        says="Stream a table or view; further parameters are filters, as for a page of rows.",
        media=(NDJSON, CSV),
        parameters=(
            Parameter(name="table", says="Which table or view.", is_required=True),
            Parameter(
                name="format",
                says="`csv` or `ndjson`; without it, what `Accept` says, or NDJSON.",
                one_of=("csv", "ndjson"),
            ),
            Parameter(
                name="order", says="As for a page of rows; without it the rows come as they are stored."
            ),
            TIMEOUT,
        ),
        refuses=(*READ_REFUSALS, TableNotFound, UnknownColumn, UnknownOperator, InvalidParameter),
        open_ended=True,
    ),
    Route(
        method="POST",
        path=_PATH,
        role="read",
        handle=post_export,
        says="Stream what a statement returns.",
        reads=ExportRequest,
        media=(NDJSON, CSV),
        parameters=(TIMEOUT,),
        refuses=(*READ_REFUSALS, InvalidBody),
    ),
)

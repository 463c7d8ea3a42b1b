"""`/v1/databases/{db}/tables/{table}/search`: the search index of a table, which `?search=` on its rows asks."""

from __future__ import annotations

from typing import Final

import msgspec

import storage
from dataserver.answers import AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody, TableNotFound
from dataserver.route import Route
from dataserver.routes.execute import WRITE_REFUSALS
from dataserver.routes.query import TIMEOUT
from dataserver.rows.search import RANK, SNIPPET
from dataserver.wire import SearchAnswer, SearchRequest

_DECODER: Final = msgspec.json.Decoder(SearchRequest)


async def put_search(exchange: Exchange) -> AnyAnswer:
    """Make a search index, in place of the one that may be there."""
    asked = await exchange.json(_DECODER)
    name, table = exchange.path["db"], exchange.path["table"]
    known = await exchange.services.schemas.table(name, table)
    if {RANK, SNIPPET} & known.columns.keys():
        raise storage.TableNotSearchable(
            f"the table has a column {RANK} or {SNIPPET}, as the rows of a search have"
        )
    database = exchange.services.databases.get(name)
    await storage.make_search_index(
        database, table, asked.columns, tokenizer=asked.tokenizer, timeout_s=exchange.timeout_s
    )
    exchange.services.schemas.forget(name)
    return json_answer(SearchAnswer(table=table, search=asked.columns))


async def delete_search(exchange: Exchange) -> AnyAnswer:
    """Drop a search index; without one nothing happens."""
    name, table = exchange.path["db"], exchange.path["table"]
    await exchange.services.schemas.table(name, table)
    await storage.drop_search_index(
        exchange.services.databases.get(name), table, timeout_s=exchange.timeout_s
    )
    exchange.services.schemas.forget(name)
    return json_answer(SearchAnswer(table=table, search=[]))


_PATH = "/v1/databases/{db}/tables/{table}/search"

ROUTES = (
    Route(
        method="PUT",
        path=_PATH,
        role="write",
        handle=put_search,
        says="Index the texts of some columns for `?search=` on the table's rows, in place of an index that may be there.",
        reads=SearchRequest,
        answers=SearchAnswer,
        parameters=(TIMEOUT,),
        refuses=(*WRITE_REFUSALS, storage.TableNotSearchable, TableNotFound, InvalidBody),
    ),
    Route(
        method="DELETE",
        path=_PATH,
        role="write",
        handle=delete_search,
        says="Drop the search index of a table.",
        answers=SearchAnswer,
        parameters=(TIMEOUT,),
        refuses=(*WRITE_REFUSALS, TableNotFound),
    ),
)

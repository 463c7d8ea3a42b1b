"""`GET /v1/databases/{db}/tables/{table}/rows`: pages of rows, filtered and in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import storage
from dataserver.answers import Answer, AnyAnswer
from dataserver.exchange import Exchange
from dataserver.limits import HttpLimits
from dataserver.refusals import InvalidCursor, InvalidParameter, TableNotFound, UnknownColumn, UnknownOperator
from dataserver.route import Parameter, Route
from dataserver.routes.query import TIMEOUT
from dataserver.rows.filters import conditions
from dataserver.rows.keyset import Place
from dataserver.rows.pages import (
    Page,
    next_cursor,
    page_end,
    page_limit,
    place_of,
    place_read,
    place_statements,
)
from dataserver.rows.search import refused_search, search_of
from dataserver.schemas import Table
from dataserver.wire import RowsAnswer, json_bytes

if TYPE_CHECKING:
    from storage import Queries


NEW_SNAPSHOT: Final = "new"


async def get_rows(exchange: Exchange) -> AnyAnswer:
    """Answer a page of rows, and where the next one begins."""
    return await exchange.with_table(lambda table: page_of(exchange, table))


async def page_of(exchange: Exchange, table: Table) -> AnyAnswer:
    """Answer a page of a table."""
    limits = exchange.services.limits
    search = search_of(exchange.parameter("search"), table.info)
    page = Page(
        table=table.info.name,
        key=table.key,
        search=search,
        order=table.order(exchange.parameter("order"), in_search=search is not None),
        conditions=tuple(conditions(exchange.query, table.columns)),
        limit=page_limit(
            exchange.parameter("limit"), default=limits.default_page_count, most=limits.max_page_count
        ),
        after=exchange.parameter("after"),
    )
    database = exchange.services.databases.get(exchange.path["db"])
    asked = exchange.parameter("snapshot")
    if asked is None:
        rows, cursor = await _read(exchange, page, database)
        return Answer(b'{"rows":%b],"next":%b}' % (rows, json_bytes(cursor)))
    snapshots = exchange.services.snapshots
    if asked == NEW_SNAPSHOT:
        token, snapshot = await snapshots.open(database)
    else:
        token, snapshot = asked, snapshots.find(database, asked)
    try:
        rows, cursor = await _read(exchange, page, snapshot)
    except storage.StorageError:
        if asked == NEW_SNAPSHOT:
            await snapshots.close(token)  # nobody knows of it
        raise
    if cursor is None:
        await snapshots.close(token)
        return Answer(b'{"rows":%b],"next":null}' % rows)
    return Answer(b'{"rows":%b],"next":%b,"snapshot":%b}' % (rows, json_bytes(cursor), json_bytes(token)))


async def _read(exchange: Exchange, page: Page, source: Queries) -> tuple[bytes, str | None]:
    """Return the rows of a page as JSON without its end, and where the next page begins."""
    limits = exchange.services.limits
    statement = page.statement
    try:
        found = await source.query_body(statement.sql, statement.params, timeout_s=exchange.timeout_s)
    except storage.SqlError as error:
        refused = None if page.search is None else refused_search(str(error))
        if refused is None:
            raise
        raise refused from error
    with found as body:
        if body.length > limits.max_page_bytes:
            raise storage.ResultTooLarge(
                f"the page has {body.length} bytes; at most {limits.max_page_bytes} are allowed: lower `limit`",
                limit_bytes=limits.max_page_bytes,
            )
        rows = await body.read()
    end = page_end(rows, page.limit)
    cursor = None
    if end.last is not None:
        place = await _place(page, end.last, source, exchange.timeout_s)
        cursor = None if place is None else next_cursor(page, place)
    return rows[: end.rows_bytes], cursor


async def _place(page: Page, last: dict[str, Any], source: Queries, timeout_s: float | None) -> Place | None:
    """Return where `page` ended; None if all that followed is gone meanwhile."""
    if not page.order.total:
        return ()
    place = place_of(page.order, last)
    if place is not None:
        return place
    for statement in place_statements(page, last):
        found = await source.query_one(statement.sql, statement.params, timeout_s=timeout_s)
        if found is not None:
            return place_read(found)
    return None


_PATH = "/v1/databases/{db}/tables/{table}/rows"
LABEL: Final = f"GET {_PATH}"

ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        role="read",
        handle=get_rows,
        says=(
            "Read a page of rows. Further parameters are filters: `COLUMN=value` or `COLUMN__OPERATOR=value` with "
            "eq, ne, lt, lte, gt, gte, in (a,b), like (% and _), glob, isnull (0 or 1); all must hold."
        ),
        answers=RowsAnswer,
        parameters=(
            Parameter(
                name="order", says="Columns parted by commas, `-` before one for descending: `-age,id`."
            ),
            Parameter(
                name="search",
                says=(
                    'Only rows that match, in FTS5\'s language (`word`, `"a phrase"`, `begin*`, `a OR b`), the best first;'
                    " rows gain `_rank` and `_snippet`. The table needs a search index."
                ),
            ),
            Parameter(
                name="limit",
                type="integer",
                least=1,
                most=HttpLimits().max_page_count,
                says="The most rows to answer.",
            ),
            Parameter(name="after", says="The `next` of the page before."),
            Parameter(
                name="snapshot",
                says=(
                    f"`{NEW_SNAPSHOT}` for the first page, then the `snapshot` of the page before: all pages show one"
                    " state. It is gone after the last page, or half a minute after the page before."
                ),
            ),
            TIMEOUT,
        ),
        refuses=(
            storage.DatabaseNotFound,
            TableNotFound,
            InvalidParameter,
            UnknownColumn,
            UnknownOperator,
            InvalidCursor,
            storage.ResultTooLarge,
            storage.QueryTimedOut,
            storage.ReadTooOld,
            storage.StorageSaturated,
            storage.TransactionLost,
        ),
        open_ended=True,
    ),
)

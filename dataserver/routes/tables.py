"""`/v1/databases/{db}/tables`: the schema."""

from __future__ import annotations

import storage
from dataserver.answers import AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.refusals import TableNotFound
from dataserver.route import Route
from dataserver.schemas import Table
from dataserver.wire import ColumnAnswer, TableAnswer, TablesAnswer


async def list_tables(exchange: Exchange) -> AnyAnswer:
    """Answer all tables and views."""
    tables = await exchange.services.schemas.tables(exchange.path["db"])
    return json_answer(TablesAnswer(tables=[_answer(table) for table in tables.values()]))


async def get_table(exchange: Exchange) -> AnyAnswer:
    """Answer one table or view."""
    name = exchange.path["table"]
    table = (await exchange.services.schemas.tables(exchange.path["db"])).get(name)
    if table is None:
        raise TableNotFound(f"the database {exchange.path['db']!r} has no table {name!r}")
    return json_answer(_answer(table))


def _answer(table: Table) -> TableAnswer:
    info = table.info
    return TableAnswer(
        name=info.name,
        kind=info.kind,
        columns=[
            ColumnAnswer(
                name=column.name,
                type=column.type,
                not_null=column.not_null,
                default=column.default,
                primary_key_position=column.primary_key_position,
            )
            for column in info.columns
        ],
        primary_key=list(info.primary_key),
        key=[] if table.key is None else [column.name for column in table.key.columns],
        strict=info.strict,
        search=list(info.searched_columns),
        row_count_estimate=info.row_count_estimate,
    )


ROUTES = (
    Route(
        method="GET",
        path="/v1/databases/{db}/tables",
        role="read",
        handle=list_tables,
        says="List the tables and views of a database, with their columns.",
        answers=TablesAnswer,
        refuses=(storage.DatabaseNotFound,),
    ),
    Route(
        method="GET",
        path="/v1/databases/{db}/tables/{table}",
        role="read",
        handle=get_table,
        says="Describe a table or view.",
        answers=TableAnswer,
        refuses=(storage.DatabaseNotFound, TableNotFound),
    ),
)

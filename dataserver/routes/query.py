"""`/v1/databases/{db}/query`: SQL that reads."""

from __future__ import annotations

from typing import Final

import msgspec

import storage
from dataserver.answers import AnyAnswer, BodyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody
from dataserver.route import Parameter, Route
from dataserver.rows.writes import sql_params
from dataserver.wire import QueryAnswer, QueryRequest

DECODER: Final = msgspec.json.Decoder(QueryRequest)

_MOST_TIMEOUT_MS: Final = 10**12 - 1
"""A longer one than the settings allow is cut to that; one of more digits is none."""
TIMEOUT: Final = Parameter(
    name="timeout_ms",
    type="integer",
    least=1,
    most=_MOST_TIMEOUT_MS,
    says="The deadline of this request in milliseconds, waiting included; also as the header Request-Timeout-Ms.",
)

READ_REFUSALS: Final = (
    storage.DatabaseNotFound,
    storage.SqlError,
    storage.NotReadOnly,
    storage.NotAllowed,
    storage.ParameterMismatch,
    storage.ResultTooLarge,
    storage.QueryTimedOut,
    storage.ReadTooOld,
    storage.StorageSaturated,
)


async def post_query(exchange: Exchange) -> AnyAnswer:
    """Answer what the statement returns; the JSON is made by SQLite and not looked at here."""
    asked = await exchange.json(DECODER)
    database = exchange.services.databases.get(exchange.path["db"])
    body = await database.query_body(
        asked.sql, sql_params(asked.params), shape=asked.shape, envelope=True, timeout_s=exchange.timeout_s
    )
    return BodyAnswer(body)


async def post_explain(exchange: Exchange) -> AnyAnswer:
    """Answer how the statement would be run."""
    asked = await exchange.json(DECODER)
    database = exchange.services.databases.get(exchange.path["db"])
    plan = await database.explain(asked.sql, sql_params(asked.params), timeout_s=exchange.timeout_s)
    return json_answer(plan)


async def post_measure(exchange: Exchange) -> AnyAnswer:
    """Answer what the statement costs, having run it."""
    asked = await exchange.json(DECODER)
    database = exchange.services.databases.get(exchange.path["db"])
    return json_answer(
        await database.measure(asked.sql, sql_params(asked.params), timeout_s=exchange.timeout_s)
    )


LABEL: Final = "POST /v1/databases/{db}/query"

ROUTES = (
    Route(
        method="POST",
        path="/v1/databases/{db}/query",
        role="read",
        handle=post_query,
        says="Run one statement that reads.",
        reads=QueryRequest,
        answers=QueryAnswer,
        parameters=(TIMEOUT,),
        refuses=(*READ_REFUSALS, InvalidBody),
    ),
    Route(
        method="POST",
        path="/v1/databases/{db}/explain",
        role="read",
        handle=post_explain,
        says="Tell how a statement would be run: its plan, the tables read whole, the indexes that are missing.",
        reads=QueryRequest,
        answers=storage.QueryPlan,
        parameters=(TIMEOUT,),
        refuses=(*READ_REFUSALS, InvalidBody),
    ),
    Route(
        method="POST",
        path="/v1/databases/{db}/measure",
        role="read",
        handle=post_measure,
        says=(
            "Run a statement that reads to see what it costs: its time by where it went, rows, bytes, pages, and steps of"
            " SQLite's machine."
        ),
        reads=QueryRequest,
        answers=storage.QueryCost,
        parameters=(TIMEOUT,),
        refuses=(*READ_REFUSALS, InvalidBody),
    ),
)

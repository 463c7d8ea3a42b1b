"""`/v1/databases/{db}/execute`: SQL that writes; an answer means that it is on disk, unless it says `queued`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

import storage
from dataserver.answers import AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody
from dataserver.route import Route
from dataserver.routes.query import TIMEOUT
from dataserver.rows.writes import batch_params, json_from_sql, sql_params
from dataserver.wire import ExecuteRequest, WrittenAnswer

if TYPE_CHECKING:
    from storage import Written

_DECODER: Final = msgspec.json.Decoder(ExecuteRequest)

WRITE_REFUSALS: Final = (
    storage.DatabaseNotFound,
    storage.SqlError,
    storage.NotAllowed,
    storage.ParameterMismatch,
    storage.ConstraintViolated,
    storage.WriteTimedOut,
    storage.WriteOutcomeUnknown,
    storage.StorageFull,
    storage.StorageSaturated,
)


async def post_execute(exchange: Exchange) -> AnyAnswer:
    """Run one statement, or several as one: all of them or none."""
    asked = await exchange.json(_DECODER)
    name = exchange.path["db"]
    database = exchange.services.databases.get(name)
    schemas = exchange.services.schemas
    if asked.statements is None:
        if asked.sql is None:
            raise InvalidBody("the body has neither `sql` nor `statements`")
        params = sql_params(asked.params)
        if asked.ack == "queued":
            await database.execute(asked.sql, params, timeout_s=exchange.timeout_s, ack="queued")
            return queued_answer()
        schemas.written(name, asked.sql)
        done = await database.execute(asked.sql, params, timeout_s=exchange.timeout_s)
        schemas.written(name, asked.sql)
        return json_answer(written_answer(done))
    if asked.sql is not None or asked.params:
        raise InvalidBody("the body has `statements` beside `sql` or `params`; send one or the other")
    most = exchange.services.limits.max_statement_count
    if not 1 <= len(asked.statements) <= most:
        raise InvalidBody(f"there are {len(asked.statements)} statements; 1 to {most} are allowed")
    statements = [(statement.sql, batch_params(statement.params)) for statement in asked.statements]
    if asked.ack == "queued":
        await database.execute_batch(statements, timeout_s=exchange.timeout_s, ack="queued")
        return queued_answer()
    results = await database.execute_batch(statements, timeout_s=exchange.timeout_s)
    for statement in asked.statements:
        schemas.written(name, statement.sql)
    return json_answer(batch_answer(results))


def queued_answer() -> AnyAnswer:
    """Answer that a write waits, and that is all."""
    return json_answer(WrittenAnswer(ack="queued", changes=None, last_insert_rowid=None), status=202)


def batch_answer(results: list[Written]) -> WrittenAnswer:
    """Return what several statements did, as the client gets it."""
    return WrittenAnswer(
        ack="durable",
        changes=sum(result.changes for result in results),
        last_insert_rowid=results[-1].last_insert_rowid,
        results=[written_answer(result) for result in results],
    )


def written_answer(done: Written) -> WrittenAnswer:
    """Return what a write did, as the client gets it."""
    if not done.columns:
        return WrittenAnswer(ack=done.ack, changes=done.changes, last_insert_rowid=done.last_insert_rowid)
    return WrittenAnswer(
        ack=done.ack,
        changes=done.changes,
        last_insert_rowid=done.last_insert_rowid,
        columns=list(done.columns),
        rows=[list(map(json_from_sql, row)) for row in done.rows],
    )


ROUTES = (
    Route(
        method="POST",
        path="/v1/databases/{db}/execute",
        role="write",
        handle=post_execute,
        says=(
            "Run statements that write, all of them or none; they are on disk when this answers. A parameter of one of"
            ' several statements may be {"$earlier": n}: the rowid that statement n inserted, or with "column" a value'
            " that it returned. With `ack` `queued` the answer (202) comes before that, and a crash loses the write."
        ),
        reads=ExecuteRequest,
        answers=WrittenAnswer,
        also=(202,),
        parameters=(TIMEOUT,),
        refuses=(*WRITE_REFUSALS, InvalidBody),
    ),
)

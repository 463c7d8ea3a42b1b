"""`/v1/databases`: which there are, and making and dropping them."""

from __future__ import annotations

import storage
from dataserver.answers import AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.route import Route
from dataserver.wire import DatabaseAnswer, DatabasesAnswer


async def list_databases(exchange: Exchange) -> AnyAnswer:
    """Answer the names."""
    return json_answer(DatabasesAnswer(databases=sorted(exchange.services.databases.names())))


async def get_database(exchange: Exchange) -> AnyAnswer:
    """Answer what is known of one."""
    return json_answer(await _described(exchange))


async def put_database(exchange: Exchange) -> AnyAnswer:
    """Make one; it is on disk."""
    await exchange.services.databases.create(exchange.path["db"])
    return json_answer(await _described(exchange), status=201)


async def delete_database(exchange: Exchange) -> AnyAnswer:
    """Drop one, with its file."""
    name = exchange.path["db"]
    gone = await _described(exchange)
    await exchange.services.databases.drop(name)
    exchange.services.schemas.forget(name)
    return json_answer(gone)


async def _described(exchange: Exchange) -> DatabaseAnswer:
    found = await exchange.services.databases.describe(exchange.path["db"])
    return DatabaseAnswer(
        name=found.name,
        size_bytes=found.size_bytes,
        wal_bytes=found.wal_bytes,
        table_count=found.table_count,
    )


_ONE = (storage.DatabaseNotFound, storage.InvalidDatabaseName)

ROUTES = (
    Route(
        method="GET",
        path="/v1/databases",
        role="read",
        handle=list_databases,
        says="List the databases.",
        answers=DatabasesAnswer,
    ),
    Route(
        method="GET",
        path="/v1/databases/{db}",
        role="read",
        handle=get_database,
        says="Describe a database.",
        answers=DatabaseAnswer,
        refuses=_ONE,
    ),
    Route(
        method="PUT",
        path="/v1/databases/{db}",
        role="admin",
        handle=put_database,
        says="Create an empty database.",
        answers=DatabaseAnswer,
        status=201,
        refuses=(storage.DatabaseExists, storage.InvalidDatabaseName),
    ),
    Route(
        method="DELETE",
        path="/v1/databases/{db}",
        role="admin",
        handle=delete_database,
        says="Drop a database and all that is in it; answers what it was.",
        answers=DatabaseAnswer,
        refuses=_ONE,
    ),
)

"""`/v1/admin/storage`: what storage does, for its operator; a client's SQL is in it, so it needs the highest role."""

from __future__ import annotations

from time import monotonic

from dataserver.answers import AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.route import Route
from dataserver.storage_wire import StorageAnswer, storage_answer


async def get_storage(exchange: Exchange) -> AnyAnswer:
    """Answer how storage stands."""
    return json_answer(storage_answer(await exchange.services.databases.report(), monotonic()))


ROUTES = (
    Route(
        method="GET",
        path="/v1/admin/storage",
        role="admin",
        handle=get_storage,
        says="Read how storage stands: its pools, write-ahead logs, queued writes, backups, and the latest slow statements.",
        answers=StorageAnswer,
    ),
)

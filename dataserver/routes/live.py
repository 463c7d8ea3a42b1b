"""`/v1/databases/{db}/live`: the answer of a statement, and again whenever it is another.

Events are `result` (what `query` would answer now) and `end` (why there are no more). The statement runs once for all
clients that ask the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import msgspec

import storage
from dataserver.answers import AnyAnswer, stream_answer
from dataserver.event_streams import (
    COMES_BACK_AFTER,
    EVENT_STREAM,
    HEADERS,
    HEARTBEAT,
    HEARTBEAT_PARAMETER,
    PASSING,
    TRY_AGAIN_S,
    Pulse,
    event,
    event_bytes,
    heartbeat_s,
)
from dataserver.refusals import InvalidBody, InvalidParameter
from dataserver.route import Route
from dataserver.routes.query import READ_REFUSALS
from dataserver.rows.writes import sql_params
from dataserver.wire import QueryAnswer, QueryRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dataserver.exchange import Exchange
    from storage import LiveQuery

_DECODER: Final = msgspec.json.Decoder(QueryRequest)


async def post_live(exchange: Exchange) -> AnyAnswer:
    """Stream the answers of a statement."""
    asked = await exchange.json(_DECODER)
    database = exchange.services.databases.get(exchange.path["db"])
    live = database.live_json(asked.sql, sql_params(asked.params), shape=asked.shape)
    return await stream_answer(_events(exchange, live, heartbeat_s(exchange)), EVENT_STREAM, HEADERS)


async def _events(exchange: Exchange, live: LiveQuery[bytes], every_s: float) -> AsyncGenerator[bytes]:
    first = await live.next_answer(0)
    yield COMES_BACK_AFTER + event_bytes("result", first or b"null", cursor=live.cursor)
    pulse = Pulse(every_s)
    while not exchange.services.state.draining:
        try:
            body = await live.next_answer(pulse.left_s)
        except PASSING:
            await anyio.sleep(TRY_AGAIN_S)
            continue
        except storage.StorageError as error:
            yield event("end", {"message": str(error)})
            return
        if body is not None:
            yield event_bytes("result", body, cursor=live.cursor)
            pulse.beat()
        elif pulse.left_s <= 0:
            yield HEARTBEAT
            pulse.beat()


ROUTES = (
    Route(
        method="POST",
        path="/v1/databases/{db}/live",
        role="read",
        handle=post_live,
        says=(
            "Run one statement that reads, and again whenever its answer is another, as Server-Sent Events: `result` "
            "and `end`. The tables that it reads have to be followed."
        ),
        reads=QueryRequest,
        answers=QueryAnswer,
        media=(EVENT_STREAM,),
        parameters=(HEARTBEAT_PARAMETER,),
        refuses=(*READ_REFUSALS, storage.TableNotFollowed, InvalidBody, InvalidParameter),
    ),
)

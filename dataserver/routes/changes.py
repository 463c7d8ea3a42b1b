"""`/v1/databases/{db}/changes`: what is changed in tables that are followed, as it is committed.

Events are `position` (first, and when changes of other tables were passed over), `change`, `gap` (what came next is not
in the log any more; the stream goes on from its end now, so load the rows anew) and `end` (the database is gone). Each
names the cursor before it as `after`: a client that compares it with its last `id` sees that it missed something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import msgspec

import storage
from dataserver.answers import AnyAnswer, json_answer, stream_answer
from dataserver.event_streams import (
    COMES_BACK_AFTER,
    EVENT_STREAM,
    HEADERS,
    HEARTBEAT,
    HEARTBEAT_PARAMETER,
    PASSING,
    TRY_AGAIN_S,
    Pulse,
    begin_at,
    event,
    head_answer,
    heartbeat_s,
)
from dataserver.refusals import InvalidBody, InvalidParameter
from dataserver.route import Parameter, Route
from dataserver.rows.writes import json_from_sql
from dataserver.wire import ChangeEvent, FollowedAnswer, FollowRequest, GapEvent, PositionEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dataserver.exchange import Exchange
    from storage import Change, Cursor, Database

_DECODER: Final = msgspec.json.Decoder(FollowRequest)


async def get_changes(exchange: Exchange) -> AnyAnswer:
    """Stream the changes after a cursor."""
    head = head_answer(exchange)
    if head is not None:
        return head
    database = exchange.services.databases.get(exchange.path["db"])
    named = exchange.parameter("tables")
    tables = None if named is None else [name for name in named.split(",") if name]
    if tables == []:
        raise InvalidParameter("`tables` names no table")
    events = _events(exchange, database, tables, begin_at(exchange), heartbeat_s(exchange))
    return await stream_answer(events, EVENT_STREAM, HEADERS)


async def put_table_changes(exchange: Exchange) -> AnyAnswer:
    """Follow a table from now on."""
    asked = await exchange.json(_DECODER)
    database = exchange.services.databases.get(exchange.path["db"])
    table = exchange.path["table"]
    cursor = await database.follow_tables([table], values=asked.values)
    return json_answer(FollowedAnswer(table=table, followed=True, cursor=str(cursor)))


async def delete_table_changes(exchange: Exchange) -> AnyAnswer:
    """Follow a table no more."""
    database = exchange.services.databases.get(exchange.path["db"])
    table = exchange.path["table"]
    cursor = await database.unfollow_tables([table])
    return json_answer(FollowedAnswer(table=table, followed=False, cursor=str(cursor)))


async def _events(
    exchange: Exchange, database: Database, tables: list[str] | None, since: Cursor | None, every_s: float
) -> AsyncGenerator[bytes]:
    feed = database.changes(tables, since)
    pulse = Pulse(every_s)
    told: Cursor | None = None
    while told is None or not exchange.services.state.draining:
        try:
            if told is None:
                told = await feed.begin()
                yield COMES_BACK_AFTER + _position(told, None)
                continue
            page = await feed.page(pulse.left_s)
        except storage.HistoryLost as lost:
            now = storage.Cursor.parse(lost.cursor)
            yield event("gap", GapEvent(cursor=lost.cursor, after=_text(told), message=str(lost)), cursor=now)
            feed, told = database.changes(tables, now), now
            continue
        except PASSING:
            if told is None:
                raise
            await anyio.sleep(TRY_AGAIN_S)
            continue
        except (storage.DatabaseNotFound, storage.StorageClosed) as gone:
            if told is None:
                raise
            yield event("end", {"message": str(gone)})
            return
        if page:
            pieces = []
            for change in page:
                pieces.append(_change(change, told))
                told = change.cursor
            yield b"".join(pieces)
            pulse.beat()
        elif pulse.left_s <= 0:
            reached = feed.cursor
            yield HEARTBEAT if reached in {None, told} else _position(reached, told)
            told = reached or told
            pulse.beat()


def _position(cursor: Cursor | None, after: Cursor | None) -> bytes:
    return event("position", PositionEvent(cursor=str(cursor), after=_text(after)), cursor=cursor)


def _change(change: Change, after: Cursor) -> bytes:
    data = ChangeEvent(
        seq=change.seq,
        after=str(after),
        at_ms=change.at_ms,
        table=change.table,
        op=change.op,
        key=[json_from_sql(value) for value in change.key],
        old=None
        if change.old is None
        else {name: json_from_sql(value) for name, value in change.old.items()},
        new=None
        if change.new is None
        else {name: json_from_sql(value) for name, value in change.new.items()},
    )
    return event("change", data, cursor=change.cursor)


def _text(cursor: Cursor | None) -> str | None:
    return None if cursor is None else str(cursor)


_TABLE_PATH = "/v1/databases/{db}/tables/{table}/changes"
_FOLLOW_REFUSALS = (
    storage.DatabaseNotFound,
    storage.TableNotFollowed,
    storage.StorageFull,
    storage.StorageSaturated,
    storage.WriteTimedOut,
)

ROUTES = (
    Route(
        method="GET",
        path="/v1/databases/{db}/changes",
        role="read",
        handle=get_changes,
        says=(
            "Follow what is changed, as Server-Sent Events: `position`, `change`, `gap` (load the rows anew) and `end`. "
            "To have all of a table: begin, wait for `position`, read the rows, then apply the changes."
        ),
        answers=ChangeEvent,
        media=(EVENT_STREAM,),
        parameters=(
            Parameter(
                name="tables", says="Which tables, parted by commas; without it, all that are followed."
            ),
            Parameter(
                name="since",
                says="A cursor: the `id` of an event. Last-Event-ID says the same, and goes before it.",
            ),
            HEARTBEAT_PARAMETER,
        ),
        refuses=(
            storage.DatabaseNotFound,
            storage.TableNotFollowed,
            InvalidParameter,
            storage.QueryTimedOut,
            storage.StorageSaturated,
        ),
    ),
    Route(
        method="PUT",
        path=_TABLE_PATH,
        role="admin",
        handle=put_table_changes,
        says="Log what is changed in a table from now on, with `values` its rows before and after too.",
        reads=FollowRequest,
        answers=FollowedAnswer,
        refuses=(*_FOLLOW_REFUSALS, InvalidBody),
    ),
    Route(
        method="DELETE",
        path=_TABLE_PATH,
        role="admin",
        handle=delete_table_changes,
        says="Log no more of what is changed in a table.",
        answers=FollowedAnswer,
        refuses=_FOLLOW_REFUSALS,
    ),
)

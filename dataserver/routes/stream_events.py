"""`/v1/streams/events`: what happens in streams, as Server-Sent Events, for those who can't have a WebSocket.

The data of each event is what the WebSocket sends: `state` first, then `event`, `typing`, `presence`, `ended`, `drain`.
Events of several streams are caught up stream by stream, so only what comes after `position` has an id: who loses the
connection before is caught up from where it was. The id is a position in the order of all commits, with a digest of the
epochs: another one means that the numbers began anew, and the pages have to be read.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from chat import LimitReached, TooOften, UnknownSession, parsed_id
from dataserver.answers import AnyAnswer, stream_answer
from dataserver.cookies import authorization
from dataserver.event_streams import (
    COMES_BACK_AFTER,
    EVENT_STREAM,
    HEADERS,
    HEARTBEAT,
    HEARTBEAT_PARAMETER,
    Pulse,
    head_answer,
    heartbeat_s,
)
from dataserver.refusals import InvalidParameter, ServerDraining, TooManyConnections
from dataserver.route import Parameter, Route
from dataserver.socket.endings import SESSION_ENDED
from dataserver.socket.frames import Frame, notice_frame
from dataserver.socket.ops import Since
from dataserver.socket.subscriber import Subscriber
from dataserver.socket.subscriptions import Subscription

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from chat import Chat, StreamState
    from dataserver.exchange import Exchange

_DIGEST_BYTES: Final = 8
_MAX_DIGITS: Final = 15


async def get_stream_events(exchange: Exchange) -> AnyAnswer:
    """Stream what happens."""
    head = head_answer(exchange)
    if head is not None:
        return head
    names = (exchange.parameter("streams") or "").split(",")
    stream_ids = [parsed_id(name, "stream") for name in names if name]
    if not stream_ids:
        raise InvalidParameter("`streams` names no stream")
    since = _since(exchange)
    every_s = heartbeat_s(exchange)
    return await stream_answer(_told(exchange, stream_ids, since, every_s), EVENT_STREAM, HEADERS)


async def _told(
    exchange: Exchange, stream_ids: list[int], since: tuple[int, str] | None, every_s: float
) -> AsyncGenerator[bytes]:
    chat, hub, session = exchange.services.chat, exchange.services.hub, exchange.session
    subscriber = Subscriber(None, hub.limits.max_waiting_bytes)
    hub.arrive(subscriber)
    catching_up: asyncio.Task[None] | None = None
    try:
        if not hub.enter(subscriber, session):
            raise TooOften("the user has too many connections", retry_after_s=1)
        subscription = Subscription(chat, hub, subscriber, session.user_id)
        subscription.check(stream_ids)
        async with hub.reading:
            states = await chat.streams.states(session.user_id, stream_ids)
            digest = _digest(states.values())
            known = None if since is None or since[1] != digest else since[0]
            wanted = await _wanted(chat, stream_ids, states, known)
        answers = await subscription.begin(wanted)
        yield COMES_BACK_AFTER + _event(notice_frame("state", answers).payload, None)
        position = notice_frame("position", {})
        catching_up = asyncio.get_running_loop().create_task(
            _catch_up(chat, subscription, subscriber, position)
        )
        pulse, has_ids = Pulse(every_s), False
        while True:
            try:
                async with asyncio.timeout(pulse.left_s):
                    frames = await subscriber.frames()
            except TimeoutError:
                _check_session(exchange, subscriber)
                pulse.beat()
                yield HEARTBEAT
                continue
            if not frames:
                return
            pieces = []
            for frame in frames:
                has_ids = has_ids or frame is position
                cursor = f"{frame.position}-{digest}" if has_ids and frame.position else None
                pieces.append(_event(frame.payload, cursor))
            hub.written_bytes += sum(map(len, pieces))
            yield b"".join(pieces)
            pulse.beat()
    finally:
        hub.leave(subscriber)
        if catching_up is not None:
            catching_up.cancel()


async def _catch_up(chat: Chat, subscription: Subscription, subscriber: Subscriber, position: Frame) -> None:
    if await subscription.catch_up():
        position.position = chat.feed.position
        subscriber.push(position)


async def _wanted(
    chat: Chat, stream_ids: list[int], states: dict[int, StreamState], position: int | None
) -> dict[str, Since | None]:
    """Return what a client knows that has been told everything up to a position."""
    if position is None:
        return {str(stream_id): None for stream_id in stream_ids}
    reached = await chat.streams.reached_at(stream_ids, position)
    return {
        str(each): Since(epoch=states[each].epoch, seq=reached[each]) if each in states else None
        for each in stream_ids
    }


def _check_session(exchange: Exchange, subscriber: Subscriber) -> None:
    try:
        exchange.services.chat.accounts.authenticate(
            authorization(exchange.headers, exchange.scope["method"])
        )
    except UnknownSession:
        subscriber.end(SESSION_ENDED)


def _since(exchange: Exchange) -> tuple[int, str] | None:
    """Return where the client goes on: `Last-Event-ID` before `?since=`, for it is sent at the same address again."""
    text = exchange.headers.get(b"last-event-id", b"").decode("latin-1") or exchange.parameter("since")
    if not text:
        return None
    position, _, digest = text.partition("-")
    if not (position.isascii() and position.isdigit() and len(position) <= _MAX_DIGITS):
        raise InvalidParameter(f"{text[:64]!r} is no id of an event of this stream")
    return int(position), digest


def _digest(states: Iterable[StreamState]) -> str:
    """Return what changes when a stream begins anew, or another one is seen."""
    epochs = ",".join(f"{state.stream_id}:{state.epoch}" for state in sorted(states))
    return blake2b(epochs.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _event(data: bytes, cursor: str | None) -> bytes:
    return b"%bdata: %b\n\n" % (b"" if cursor is None else b"id: %b\n" % cursor.encode(), data)


ROUTES = (
    Route(
        method="GET",
        path="/v1/streams/events",
        role="user",
        handle=get_stream_events,
        says="Follow streams, as Server-Sent Events whose data is what the WebSocket sends.",
        media=(EVENT_STREAM,),
        parameters=(
            Parameter(name="streams", says="Which streams, their ids parted by commas."),
            Parameter(
                name="since",
                says="The id of an event: what came after it is told. Last-Event-ID says the same, and goes before it.",
            ),
            HEARTBEAT_PARAMETER,
        ),
        refuses=(InvalidParameter, LimitReached, TooOften, TooManyConnections, ServerDraining),
    ),
)
"""Of this resource."""

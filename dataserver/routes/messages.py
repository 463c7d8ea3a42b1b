"""`/v1/rooms/{id}/messages` and what is done to messages: send, read, edit, delete, react, pin."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chat import (
    Ack,
    ClientIdReused,
    Gone,
    InvalidValue,
    LimitReached,
    Muted,
    NewMessage,
    NotFound,
    NotPermitted,
    Order,
    OutOfTurn,
    TooOften,
    parsed_id,
)
from dataserver import chat_wire
from dataserver.answers import AnyAnswer, json_answer
from dataserver.chat_parameters import (
    CLIENT_ID,
    LIMIT,
    PAGE_LIMIT,
    client_id,
    number_parameter,
    page,
    path_id,
    whole_number,
)
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody, InvalidParameter
from dataserver.route import Route

SEND: Final = msgspec.json.Decoder(chat_wire.SendRequest)
SEND_LABEL: Final = "POST /v1/rooms/{id}/messages"
_VOID: Final = msgspec.json.Decoder(chat_wire.VoidRequest)
_EDIT: Final = msgspec.json.Decoder(chat_wire.EditRequest)
_ACTION: Final = msgspec.json.Decoder(chat_wire.ActionRequest)

_PAGE: Final = (
    number_parameter("after_seq", "Only what comes after this seq; 0 from the first."),
    number_parameter("before_seq", "The nearest ones before this seq instead."),
    LIMIT,
)


async def list_rooms(exchange: Exchange) -> AnyAnswer:
    """Answer the rooms that the user may read."""
    return page(await exchange.services.chat.rooms.of_user(exchange.session.user_id))


async def post_message(exchange: Exchange) -> AnyAnswer:
    """Store a message, and answer its number and id once it is on disk."""
    asked = await exchange.json(SEND)
    return sent_answer(await exchange.services.chat.send(await new_message(exchange, asked)))


def sent_answer(ack: Ack) -> AnyAnswer:
    """Answer a send."""
    return json_answer(ack, status=200 if ack.duplicate else 201)


async def post_void(exchange: Exchange) -> AnyAnswer:
    """Let the sends behind one that will not come go on."""
    asked = await exchange.json(_VOID)
    room_id = path_id(exchange, "id", "room")
    order = Order(asked.session, asked.dev_seq)
    await exchange.services.chat.sending.void(room_id, exchange.session.user_id, order)
    return json_answer({})


async def get_messages(exchange: Exchange) -> AnyAnswer:
    """Answer messages of a room."""
    messages = exchange.services.chat.messages
    user_id, room_id = exchange.session.user_id, path_id(exchange, "id", "room")
    limit = whole_number(exchange, "limit", PAGE_LIMIT, least=1)
    before_seq = exchange.parameter("before_seq")
    if before_seq is None:
        after_seq = whole_number(exchange, "after_seq", 0)
        return page(await messages.page(user_id, room_id, after_seq=after_seq, limit=limit))
    if exchange.parameter("after_seq") is not None:
        raise InvalidParameter("either after_seq or before_seq is allowed, not both")
    seq = whole_number(exchange, "before_seq", 0)
    return page(await messages.page_before(user_id, room_id, before_seq=seq, limit=limit))


async def get_events(exchange: Exchange) -> AnyAnswer:
    """Answer events of a room, a space or the user."""
    found = await exchange.services.chat.messages.events(
        exchange.session.user_id,
        path_id(exchange, "id", "room"),
        after_seq=whole_number(exchange, "after_seq", 0),
        limit=whole_number(exchange, "limit", PAGE_LIMIT, least=1),
    )
    return page(found)


async def patch_message(exchange: Exchange) -> AnyAnswer:
    """Give a message another content."""
    asked = await exchange.json(_EDIT)
    return _done(
        await exchange.services.chat.messages.edit(
            exchange.session.user_id, asked.client_id, await named_message(exchange), asked.content
        )
    )


async def delete_message(exchange: Exchange) -> AnyAnswer:
    """Take a message's content away."""
    messages = exchange.services.chat.messages
    return _done(
        await messages.delete(exchange.session.user_id, client_id(exchange), await named_message(exchange))
    )


async def put_reaction(exchange: Exchange) -> AnyAnswer:
    """Put a reaction on a message."""
    asked = await exchange.json(_ACTION)
    return await _reacted(exchange, asked.client_id, is_on=True)


async def delete_reaction(exchange: Exchange) -> AnyAnswer:
    """Take a reaction away."""
    return await _reacted(exchange, client_id(exchange), is_on=False)


async def put_pin(exchange: Exchange) -> AnyAnswer:
    """Pin a message to its room."""
    asked = await exchange.json(_ACTION)
    return await _pinned(exchange, asked.client_id, is_on=True)


async def delete_pin(exchange: Exchange) -> AnyAnswer:
    """Take a pin away."""
    return await _pinned(exchange, client_id(exchange), is_on=False)


async def get_action(exchange: Exchange) -> AnyAnswer:
    """Answer what a client id was answered; who lost an answer asks here before doing anything again."""
    asked = exchange.path["client_id"]
    found = await exchange.services.chat.acting.answered(exchange.session.user_id, asked)
    if found is None:
        raise NotFound(f"there is no action {asked[:64]!r} of yours", what="action")
    return json_answer(found)


async def new_message(exchange: Exchange, asked: chat_wire.SendRequest) -> NewMessage:
    """Return what is asked as the domain takes it."""
    user_id = exchange.session.user_id
    return await message_of(exchange.services.chat, user_id, exchange.path["id"], asked)


async def named_message(exchange: Exchange) -> str:
    """Return the id of the message that the address names, in the room that it names.

    Raises:
        NotFound: There is no such room, or no such message in it.
    """
    room_id = path_id(exchange, "id", "room")
    return await exchange.services.chat.messages.found_in(
        exchange.session.user_id, room_id, exchange.path["message"]
    )


async def message_of(chat: Any, user_id: int, room: str, asked: chat_wire.SendRequest) -> NewMessage:
    """Return what a user asks to be sent to a room, as the domain takes it.

    Raises:
        InvalidBody: Of `session` and `dev_seq` one is there without the other.
        NotFound: There is no such room or answered message.
    """
    if (asked.session is None) != (asked.dev_seq is None):
        raise InvalidBody("`session` and `dev_seq` go together")
    order = None
    if asked.session is not None and asked.dev_seq is not None:
        order = Order(asked.session, asked.dev_seq)
    return NewMessage(
        room_id=parsed_id(room, "room"),
        sender_id=user_id,
        client_id=asked.client_id,
        content=asked.content,
        reply_to=None if asked.reply_to is None else await chat.messages.found(user_id, asked.reply_to),
        mentions=tuple(parsed_id(each, "user") for each in asked.mentions),
        order=order,
    )


async def _reacted(exchange: Exchange, client_id: str, *, is_on: bool) -> AnyAnswer:
    message, emoji = await named_message(exchange), exchange.path["emoji"]
    user_id = exchange.session.user_id
    return _done(await exchange.services.chat.messages.react(user_id, client_id, message, emoji, is_on=is_on))


async def _pinned(exchange: Exchange, client_id: str, *, is_on: bool) -> AnyAnswer:
    message, user_id = await named_message(exchange), exchange.session.user_id
    return _done(await exchange.services.chat.messages.pin(user_id, client_id, message, is_on=is_on))


def _done(result: dict[str, Any]) -> AnyAnswer:
    return json_answer(result)


_CHANGES: Final = (ClientIdReused, NotFound, NotPermitted, InvalidValue)
_ROOM: Final = "/v1/rooms/{id}"
_MESSAGE: Final = _ROOM + "/messages/{message}"

ROUTES = (
    Route(
        method="GET",
        path="/v1/rooms",
        role="user",
        handle=list_rooms,
        says="List the rooms of all spaces that the user is in.",
        answers=chat_wire.RoomsAnswer,
    ),
    Route(
        method="GET",
        path=_ROOM + "/messages",
        role="user",
        handle=get_messages,
        says="Read messages of a room in their order.",
        answers=chat_wire.MessagesAnswer,
        parameters=_PAGE,
        refuses=(NotFound, InvalidParameter),
    ),
    Route(
        method="POST",
        path=_ROOM + "/messages",
        role="user",
        handle=post_message,
        says="Send a message; it is on disk and has its number when this is answered.",
        reads=chat_wire.SendRequest,
        answers=Ack,
        status=201,
        also=(200,),
        refuses=(InvalidBody, *_CHANGES, Muted, OutOfTurn, LimitReached, TooOften),
    ),
    Route(
        method="POST",
        path=_ROOM + "/void",
        role="user",
        handle=post_void,
        says="Take the number of a send that will not come.",
        reads=chat_wire.VoidRequest,
        refuses=(InvalidBody, NotFound, TooOften),
    ),
    Route(
        method="GET",
        path=_ROOM + "/events",
        role="user",
        handle=get_events,
        says="Read the events of a room, a space or the user, without gaps.",
        answers=chat_wire.EventsAnswer,
        parameters=(_PAGE[0], _PAGE[2]),
        refuses=(NotFound, InvalidParameter),
    ),
    Route(
        method="PATCH",
        path=_MESSAGE,
        role="user",
        handle=patch_message,
        says="Edit a message of one's own.",
        reads=chat_wire.EditRequest,
        answers=chat_wire.ActionAnswer,
        refuses=(InvalidBody, *_CHANGES, Gone, Muted),
    ),
    Route(
        method="DELETE",
        path=_MESSAGE,
        role="user",
        handle=delete_message,
        says="Delete a message; its place in the room stays.",
        answers=chat_wire.ActionAnswer,
        parameters=(CLIENT_ID,),
        refuses=_CHANGES,
    ),
    Route(
        method="PUT",
        path=_MESSAGE + "/reactions/{emoji}",
        role="user",
        handle=put_reaction,
        says="React to a message.",
        reads=chat_wire.ActionRequest,
        answers=chat_wire.ActionAnswer,
        refuses=(InvalidBody, *_CHANGES, Gone, Muted, LimitReached),
    ),
    Route(
        method="DELETE",
        path=_MESSAGE + "/reactions/{emoji}",
        role="user",
        handle=delete_reaction,
        says="Take a reaction away.",
        answers=chat_wire.ActionAnswer,
        parameters=(CLIENT_ID,),
        refuses=_CHANGES,
    ),
    Route(
        method="PUT",
        path=_ROOM + "/pins/{message}",
        role="user",
        handle=put_pin,
        says="Pin a message to its room.",
        reads=chat_wire.ActionRequest,
        answers=chat_wire.ActionAnswer,
        refuses=(InvalidBody, *_CHANGES, Gone, LimitReached),
    ),
    Route(
        method="DELETE",
        path=_ROOM + "/pins/{message}",
        role="user",
        handle=delete_pin,
        says="Take a pin away.",
        answers=chat_wire.ActionAnswer,
        parameters=(CLIENT_ID,),
        refuses=_CHANGES,
    ),
    Route(
        method="GET",
        path="/v1/actions/{client_id}",
        role="user",
        handle=get_action,
        says="Look up what a client id was answered.",
        answers=chat_wire.RecordedAnswer,
        refuses=(NotFound,),
    ),
)

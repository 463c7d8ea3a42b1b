"""Commands that ask the chat for something: each calls what its HTTP route calls, and is answered the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from chat import NotFound, Order, parsed_id
from dataserver.routes.messages import message_of
from dataserver.socket import ops

if TYPE_CHECKING:
    from chat import Chat, Session


def is_alone(change: ops.Change) -> bool:
    """Tell whether it has to wait for the changes before it: it may name what one of them makes."""
    return not (isinstance(change, ops.Send) and (change.reply_to is None or change.reply_to.isdigit()))


async def perform(chat: Chat, session: Session, change: ops.Change) -> Any:
    """Do it, and return what it is answered; it is on disk then.

    Raises:
        ChatRefusal: It was not done; the type says why.
        InvalidBody: Its fields do not go together.
        StorageError: As the chat's services.
    """
    user_id = session.user_id
    messages = chat.messages
    match change:
        case ops.Send():
            result: Any = await chat.send(await message_of(chat, user_id, change.room, change))
        case ops.Void():
            order = Order(change.session, change.dev_seq)
            await chat.sending.void(parsed_id(change.room, "room"), user_id, order)
            result = {}
        case ops.Edit():
            result = await messages.edit(user_id, change.client_id, change.message, change.content)
        case ops.Delete():
            result = await messages.delete(user_id, change.client_id, change.message)
        case ops.React() | ops.Unreact():
            is_on = isinstance(change, ops.React)
            result = await messages.react(
                user_id, change.client_id, change.message, change.emoji, is_on=is_on
            )
        case ops.Pin() | ops.Unpin():
            is_on = isinstance(change, ops.Pin)
            result = await messages.pin(user_id, change.client_id, change.message, is_on=is_on)
        case ops.Read():
            room_id = parsed_id(change.room, "room")
            result = await chat.read_markers.move(user_id, room_id, change.seq)
        case ops.Act():
            result = await chat.acting.answered(user_id, change.client_id)
            if result is None:
                raise NotFound(f"there is no action {change.client_id!r} of yours", what="action")
        case _:
            assert_never(change)
    return result

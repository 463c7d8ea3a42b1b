"""What actions and events make of messages and spaces. Pure.

The same functions show an action before the server has it, and write it down once the server has done it: so what is
shown does not jump when the answer comes. Nothing is undone when an action fails: it is only shown no longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from chat.client.views import ChatMessage, ChatSpace, Reaction, SpaceMember
from chat.queue import payloads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chat.client.views import StreamEvent


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An action that is not at the server, or whose effect has not come back from there."""

    client_id: str
    type: str
    payload: Any
    at_ms: int


OnMessage = (
    payloads.EditMessage
    | payloads.DeleteMessage
    | payloads.React
    | payloads.PinMessage
    | payloads.UnpinMessage
)
OnSpace = (
    payloads.UpdateSpace
    | payloads.KickUser
    | payloads.MuteUser
    | payloads.UnmuteUser
    | payloads.JoinSpace
    | payloads.LeaveSpace
)


def room_with(
    messages: Sequence[ChatMessage], pending: Iterable[Pending], room_id: str, me: str
) -> list[ChatMessage]:
    """Return the messages of a room with the user's actions that are under way; new ones come last, in their order."""
    shown = list(messages)
    places = {name: place for place, each in enumerate(shown) for name in _names(each, me)}
    for action in pending:
        payload = action.payload
        if getattr(payload, "room_id", None) != room_id:
            continue
        if isinstance(payload, payloads.SendMessage):
            if action.client_id not in places:
                places[action.client_id] = len(shown)
                shown.append(new_message(payload, action, me))
            continue
        place = places.get(payload.message_id)
        if place is not None:
            shown[place] = replace(message_with(shown[place], payload, me, action.at_ms), state="pending")
    return shown


def _names(message: ChatMessage, me: str) -> tuple[str, ...]:
    own = (message.client_id,) if message.sender == me else ()
    return (message.id, *own) if message.id else own


def new_message(payload: payloads.SendMessage, action: Pending, me: str) -> ChatMessage:
    """Return the message that a send makes, as it is before the server has it."""
    return ChatMessage(
        client_id=action.client_id,
        sender=me,
        content=payload.content,
        reply_to=payload.reply_to_id,
        created_at_ms=action.at_ms,
        state="pending",
    )


def message_with(message: ChatMessage, payload: OnMessage, me: str, at_ms: int) -> ChatMessage:
    """Return `message` as an action of the user's makes it."""
    if isinstance(payload, payloads.DeleteMessage):
        return _deleted(message, at_ms)
    if message.deleted_at_ms is not None:
        return message
    if isinstance(payload, payloads.EditMessage):
        return replace(message, content=payload.content, edited_at_ms=at_ms)
    if isinstance(payload, payloads.React):
        return _reacted(message, payload.emoji, me, is_on=payload.is_on)
    return replace(message, is_pinned=isinstance(payload, payloads.PinMessage))


def _deleted(message: ChatMessage, at_ms: int) -> ChatMessage:
    return replace(message, content=None, deleted_at_ms=at_ms, mentions=None, reactions=(), is_pinned=False)


def _reacted(message: ChatMessage, emoji: str, user: str, *, is_on: bool) -> ChatMessage:
    others = tuple(each for each in message.reactions if (each.emoji, each.user) != (emoji, user))
    if is_on and len(others) < len(message.reactions):
        return message
    return replace(message, reactions=(*others, Reaction(emoji, user)) if is_on else others)


def message_after(former: ChatMessage | None, event: StreamEvent) -> ChatMessage | None:
    """Return the message that an event is about, as it stands after it; None if it is about none.

    The event has the message's own present state, which may be ahead of the event; marks are told one by one.
    """
    if event.message is None:
        return former
    known = msgspec.to_builtins(former) if former is not None else {}
    message = msgspec.convert({**known, **event.message, "state": "sent"}, ChatMessage)
    if message.deleted_at_ms is not None:
        return _deleted(message, message.deleted_at_ms)
    emoji = (event.body or {}).get("emoji")
    if event.kind in {"reaction.added", "reaction.removed"} and emoji is not None and event.actor is not None:
        return _reacted(message, emoji, event.actor, is_on=event.kind == "reaction.added")
    if event.kind in {"pin.added", "pin.removed"}:
        return replace(message, is_pinned=event.kind == "pin.added")
    return message


def space_with(space: ChatSpace, payload: OnSpace, me: str) -> ChatSpace:
    """Return `space` as an action of the user's makes it."""
    if isinstance(payload, payloads.UpdateSpace):
        return replace(space, settings={**space.settings, **payload.fields})
    if isinstance(payload, payloads.KickUser):
        return _without(space, payload.user_id)
    if isinstance(payload, payloads.JoinSpace):
        return replace(_with(space, me), is_member=True)
    if isinstance(payload, payloads.LeaveSpace):
        return replace(_without(space, me), is_member=False)
    return _muted(space, payload.user_id, is_muted=isinstance(payload, payloads.MuteUser))


def space_after(space: ChatSpace, event: StreamEvent, me: str) -> ChatSpace:
    """Return `space` after an event of its stream."""
    body = event.body or {}
    user = str(body.get("user", ""))
    if event.kind in {"member.joined", "member.changed"}:
        joined = _with(space, user, role=str(body.get("role", "member")))
        return replace(joined, is_member=True) if user == me else joined
    if event.kind in {"member.left", "member.kicked"}:
        without = _without(space, user)
        return replace(without, is_member=False) if user == me else without
    if event.kind in {"member.muted", "member.unmuted"}:
        return _muted(space, user, is_muted=event.kind == "member.muted")
    if event.kind == "space.updated":
        return replace(
            space,
            settings={**space.settings, **body.get("settings", {})},
            version=body.get("version", space.version),
        )
    return space


def _with(space: ChatSpace, user: str, role: str | None = None) -> ChatSpace:
    member = space.members.get(user, SpaceMember())
    return replace(space, members={**space.members, user: replace(member, role=role or member.role)})


def _without(space: ChatSpace, user: str) -> ChatSpace:
    return replace(space, members={each: member for each, member in space.members.items() if each != user})


def _muted(space: ChatSpace, user: str, *, is_muted: bool) -> ChatSpace:
    member = space.members.get(user, SpaceMember())
    return replace(space, members={**space.members, user: replace(member, is_muted=is_muted)})

"""Bodies of the chat's requests and answers, the same over HTTP and over the WebSocket.

Ids are texts of digits; a message may be named by its sender's own client id too, which it has before any server knows
it. Every change carries a client id: the same one again is answered with what it did the first time.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
CLIENT_ID_PATTERN: Final = "^[!-~]{1,64}$"
ClientId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, extra_json_schema={"pattern": CLIENT_ID_PATTERN})
]

DeviceNumber = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Content = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": 32_768})]
"""Told, not checked: the domain counts it in bytes."""


class SendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new message."""

    client_id: ClientId
    content: Content
    reply_to: Id | None = None
    mentions: Annotated[list[Id], msgspec.Meta(max_length=50)] = []
    session: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    """Of the sending device, for sends that are in flight together; then `dev_seq` has to be there too."""
    dev_seq: DeviceNumber | None = None
    """The number of this send to this room within the session, from 1."""


class VoidRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number of a session whose send will not come."""

    session: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    dev_seq: DeviceNumber


class EditRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another content for a message."""

    client_id: ClientId
    content: Content


class ActionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change that its address says all about."""

    client_id: ClientId


class ActionAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a change did."""

    client_id: str
    duplicate: bool
    """It was done before; this is what it was answered then."""
    id: str | None = None
    """Of what it made."""
    message_id: str | None = None
    space_id: str | None = None


class RecordedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a client id was answered."""

    kind: str
    result: dict[str, Any]


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it stands."""

    id: str
    seq: int
    client_id: str
    sender: str
    sender_name: str
    content: str | None
    """None once it is deleted."""
    reply_to: str | None
    mentions: list[str] | None
    created_at_ms: int
    edited_at_ms: int | None
    deleted_at_ms: int | None
    reactions: list[dict[str, str]]
    """Each with `emoji` and `user`, in the order in which they came."""
    is_pinned: bool


class MessagesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of messages, in the order of their `seq`, which has holes where other events are."""

    messages: list[MessageView]


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a stream: a room, a space or a user."""

    stream: str
    seq: int
    kind: str
    actor: str | None
    at_ms: int
    body: dict[str, Any] | None
    message: dict[str, Any] | None
    """The present state of the message that it is about."""


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of events, dense, in the order of their `seq`."""

    events: list[EventView]


class RoomView(msgspec.Struct, frozen=True, kw_only=True):
    """A room as a member sees it."""

    id: str
    space: str
    group: str | None
    name: str
    topic: str
    place: int
    archived_at_ms: int | None
    epoch: str
    last_seq: int
    read_seq: int


class RoomsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The rooms of all spaces that the user is in."""

    rooms: list[RoomView]

"""What an application sees of the chat: messages, rooms, spaces, its own profile."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

MessageState = Literal["sent", "pending"]


class Reaction(msgspec.Struct, frozen=True):
    """What a user put on a message."""

    emoji: str
    user: str


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it stands, with what was done here and is not at the server yet."""

    client_id: str
    sender: str
    content: str | None
    """None once it is deleted."""
    id: str = ""
    """Empty until the server has it; its sender names it by its client id at any time."""
    seq: int = 0
    """Its number in the room; 0 until the server has it."""
    sender_name: str = ""
    reply_to: str | None = None
    mentions: tuple[str, ...] | None = None
    created_at_ms: int
    edited_at_ms: int | None = None
    deleted_at_ms: int | None = None
    reactions: tuple[Reaction, ...] = ()
    is_pinned: bool = False
    state: MessageState = "sent"
    """Whether something of it is still on its way."""

    def is_named(self, name: str, me: str) -> bool:
        """Tell whether `name` is its id, or the client id under which the user `me` sent it."""
        return name == self.id or (name == self.client_id and self.sender == me)


class ChatRoom(msgspec.Struct, frozen=True, kw_only=True):
    """A room."""

    id: str
    space: str
    name: str
    topic: str = ""
    group: str | None = None
    place: int = 0
    archived_at_ms: int | None = None
    epoch: str
    last_seq: int
    read_seq: int = 0


class SpaceMember(msgspec.Struct, frozen=True, kw_only=True):
    """A member of a space, as far as this device has heard of them."""

    role: str = "member"
    is_muted: bool = False


class ChatSpace(msgspec.Struct, frozen=True, kw_only=True):
    """A space, as far as this device has heard of it."""

    id: str
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    version: int | None = None
    """Of the settings."""
    is_member: bool = True
    """Whether the user is in it."""
    members: dict[str, SpaceMember] = msgspec.field(default_factory=dict)


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a stream: a room, a space or the user; as the server tells it."""

    stream: str
    seq: int
    kind: str
    actor: str | None = None
    at_ms: int = 0
    body: dict[str, Any] | None = None
    message: dict[str, Any] | None = None

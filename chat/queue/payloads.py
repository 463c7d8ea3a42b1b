"""What the built-in actions carry.

A message is named by the client id it was sent with, which it has before any server knows it. Where two actions may
cancel each other, `was` tells what the sender saw before (None: it does not know); only then is "on, then off" nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec


class SendMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A new message in a room."""

    room_id: str
    content: str
    reply_to_id: str | None = None


class EditMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Another content for a message."""

    room_id: str
    message_id: str
    content: str


class DeleteMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a message."""

    room_id: str
    message_id: str


class React(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reaction to a message that is there from now on, or not (`is_on`)."""

    room_id: str
    message_id: str
    emoji: str
    is_on: bool = True
    was: bool | None = None


class PinMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message to be pinned to its room."""

    room_id: str
    message_id: str
    was: bool | None = None


class UnpinMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message to be pinned no longer."""

    room_id: str
    message_id: str
    was: bool | None = None


class SaveUserConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings of the account that change, by name; the others stay."""

    fields: dict[str, Any]
    base_version: int | None = None


class UpdateProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Parts of the account's profile that change, by name; the others stay."""

    fields: dict[str, Any]
    base_version: int | None = None


class UpdateSpace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings of a space that change, by name; the others stay."""

    space_id: str
    fields: dict[str, Any]
    base_version: int | None = None
    base: dict[str, Any] | None = None
    """What the fields were in that version; with it, a conflict is settled field by field instead of blocking."""


class KickUser(msgspec.Struct, frozen=True, kw_only=True):
    """A member to be removed from a space."""

    space_id: str
    user_id: str


class MuteUser(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A member who may not write any more."""

    space_id: str
    user_id: str
    was: bool | None = None


class UnmuteUser(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A member who may write again."""

    space_id: str
    user_id: str
    was: bool | None = None


class SyncSpaceKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The account's newest set of keys, each by its space."""

    keys: dict[str, str]
    version: int


class JoinSpace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The account becomes a member of a space."""

    space_id: str
    was: bool | None = None


class LeaveSpace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The account is a member of a space no longer."""

    space_id: str
    was: bool | None = None

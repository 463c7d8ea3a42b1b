"""Bodies of requests and answers about spaces, who is in them, their rooms, and what is found there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from chat import RoomFields, SpaceFields, told_line, told_number
from dataserver.chat_wire import ActionRequest, ClientId, Id, MessageView

Role = Literal["member", "moderator", "admin", "owner"]
_Name = Annotated[str, told_line(1, 100)]
_Topic = Annotated[str, told_line(0, 1_000)]
_Place = Annotated[int, told_number(0, 1_000_000)]
_AgeS = Annotated[float, told_number(1, 31_536_000)]
_Uses = Annotated[int, told_number(1, 10_000)]
_TimeMs = Annotated[int, told_number(1, 253_402_300_799_999)]


class CreateSpaceRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new space, which the user owns."""

    name: _Name
    description: _Topic = ""
    is_open: bool = False
    """Whoever knows its id may join."""


class UpdateSpaceRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings that change; what is left out stays. `If-Match` names the version that they were made for."""

    fields: SpaceFields


class OpenSpaceRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether whoever knows the id may join."""

    is_open: bool


class CreateInviteRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link that lets somebody in."""

    age_s: _AgeS | None = None
    """How long; a week unless it says otherwise."""
    uses: _Uses | None = None
    """How often; 100 unless it says otherwise."""


class RoleRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another role for a member."""

    role: Role


class MuteRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An end of a member's writing; without `until_ms` it is for good."""

    until_ms: _TimeMs | None = None


class CreateRoomRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new room."""

    name: _Name
    topic: _Topic = ""
    group: Id | None = None


class UpdateRoomRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a room; what is left out stays."""

    fields: RoomFields


class CreateGroupRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new group of rooms."""

    name: _Name


class UpdateGroupRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a group; what is left out stays."""

    name: _Name | None = None
    place: _Place | None = None


class OpenDirectRequest(ActionRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversation with somebody."""

    user: Id


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a room was read."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class ReadAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How far the room was read by now: it never goes back."""

    room_id: str
    seq: int


class ChangeAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a change did, and to what."""

    client_id: ClientId
    duplicate: bool
    """It was done before; this is what it was answered then."""
    id: str | None = None
    """Of what it made."""
    space_id: str | None = None
    room_id: str | None = None
    group_id: str | None = None
    user_id: str | None = None
    version: int | None = None
    """Of the settings."""
    role: Role | None = None
    until_ms: _TimeMs | None = None


class InviteAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A link; its secret is in the first answer alone."""

    client_id: ClientId
    duplicate: bool
    id: str
    space_id: str
    expires_at_ms: int
    uses_left: int
    secret: str | None = None


class SpaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A space as a member sees it."""

    id: str
    kind: Literal["space", "direct"]
    settings: dict[str, Any]
    version: int
    is_open: bool
    role: Role
    member_count: int
    muted_until_ms: int
    epoch: str
    last_seq: int


class ListedSpace(msgspec.Struct, frozen=True, kw_only=True):
    """A space without the long parts of its settings."""

    id: str
    kind: Literal["space", "direct"]
    name: str | None
    description: str | None
    version: int
    is_open: bool
    role: Role
    member_count: int
    epoch: str
    last_seq: int
    with_: dict[str, str] | None = msgspec.field(name="with")
    """In a conversation of two, the other one's `user` and `name`."""


class SpacesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of spaces by their ids; ask again after the last one until none come."""

    spaces: list[ListedSpace]


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """A member."""

    user: str
    name: str
    display_name: str
    role: Role
    joined_at_ms: int
    muted_until_ms: int


class MembersAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of members by their ids; ask again after the last one until none come."""

    members: list[MemberView]


class MutedView(msgspec.Struct, frozen=True, kw_only=True):
    """Who may not write, until when, and who says so."""

    user: str
    name: str
    until_ms: int
    muted_by: str
    at_ms: int


class MutedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the muted by their ids; ask again after the last one until none come."""

    muted: list[MutedView]


class InviteView(msgspec.Struct, frozen=True, kw_only=True):
    """A link, without its secret."""

    id: str
    made_by: str
    expires_at_ms: int
    uses_left: int


class InvitesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The links that let somebody in: one's own, or all of them for moderators."""

    invites: list[InviteView]


class SpaceRoom(msgspec.Struct, frozen=True, kw_only=True):
    """A room."""

    id: str
    space: str
    group: str | None
    name: str
    topic: str
    place: int
    archived_at_ms: int | None
    epoch: str
    last_seq: int


class SpaceRoomsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The rooms of a space in their order."""

    rooms: list[SpaceRoom]


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """A group of rooms."""

    id: str
    name: str
    place: int


class GroupsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The groups of a space in their order."""

    groups: list[GroupView]


class PinView(msgspec.Struct, frozen=True, kw_only=True):
    """A pinned message."""

    message: MessageView
    pinned_by: str
    at_ms: int


class PinsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of pinned messages by their ids; ask again after the last one until none come."""

    pins: list[PinView]


class EditView(msgspec.Struct, frozen=True, kw_only=True):
    """What a message said before."""

    number: int
    content: str
    until_ms: int


class EditsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what a message said before, the oldest first; ask again after the last number until none come."""

    edits: list[EditView]


class HitView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was found."""

    message: MessageView
    room: str
    snippet: str
    """The place of the words, each between U+E000 and U+E001."""
    score: float | None = None
    """How well it fits, where the best were asked for."""


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    hits: list[HitView]

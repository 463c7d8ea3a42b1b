"""The rooms of a space and the groups they are shown in: made, renamed, put in order, archived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from chat.domain.acting import USER, Act, told
from chat.domain.ids import parsed_id
from chat.domain.permissions import LEAST_RANK
from chat.domain.refusals import InvalidValue, LimitReached, NotFound, Taken
from chat.domain.spaces import new_epoch
from chat.domain.standing import standing_in
from chat.domain.texts import MAX_NAME_CHARACTERS, MAX_TOPIC_CHARACTERS, check_text, told_line, told_number
from storage import ConstraintViolated, Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.tables import Tables

MAX_PLACE: Final = 1_000_000
_LEAST: Final = LEAST_RANK["manage_rooms"]
_NO_GROUP: Final = 0


_Name = Annotated[str, told_line(1, MAX_NAME_CHARACTERS)]
_Topic = Annotated[str, told_line(0, MAX_TOPIC_CHARACTERS)]
_Place = Annotated[int, told_number(0, MAX_PLACE)]


class RoomFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What changes of a room; the rest stays."""

    name: _Name | None = None
    topic: _Topic | None = None
    place: _Place | None = None
    """Among those of its group, from the lowest on."""
    group: str | None = None
    """The group's id; an empty text takes the room out of its group."""
    is_archived: bool | None = None
    """An archived room is read, not written to."""


class Rooms:
    """Makes and changes rooms and groups."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits

    async def create(
        self,
        user_id: int,
        client_id: str,
        space_id: int,
        *,
        name: str,
        topic: str = "",
        group_id: int | None = None,
    ) -> dict[str, Any]:
        """Make a room in a space.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted, Taken, LimitReached, InvalidValue.
        """
        check_text(name, "name", MAX_NAME_CHARACTERS)
        check_text(topic, "topic", MAX_TOPIC_CHARACTERS, least=0)
        now_ms = self._acting.now_ms()
        made = Earlier(2, "id")
        most = self._limits.max_rooms_per_space
        body = {"name": name, "topic": topic, "group": None if group_id is None else str(group_id)}
        act = Act(
            user_id=user_id,
            client_id=client_id,
            kind="create-room",
            payload=[str(space_id), name, topic, group_id],
            changes=[
                ("new_stream", ("room", new_epoch())),
                (
                    "new_room",
                    (Earlier(1, "id"), space_id, USER, _LEAST, name, topic, now_ms, most, group_id),
                ),
                (
                    "tell_of",
                    (
                        space_id,
                        "room.created",
                        user_id,
                        "room",
                        msgspec.json.encode(body).decode(),
                        now_ms,
                        made,
                    ),
                ),
                ("note_id", (user_id, client_id, "id", made)),
            ],
            why=lambda: self._why_no_room(user_id, space_id, group_id),
            notes=True,
        )
        return await self._named(act, f"the space has a room {name!r} already")

    async def update(self, user_id: int, client_id: str, room_id: int, fields: RoomFields) -> dict[str, Any]:
        """Change what is given of a room: its name, topic, place, group, and whether it is archived.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted, Taken, InvalidValue.
        """
        changed = _checked(fields)
        group_id = _group_id(fields.group)
        now_ms = self._acting.now_ms()
        act = Act(
            user_id=user_id,
            client_id=client_id,
            kind="update-room",
            payload=[str(room_id), changed],
            changes=[
                (
                    "update_room",
                    (
                        room_id,
                        USER,
                        _LEAST,
                        fields.name,
                        fields.topic,
                        fields.place,
                        group_id,
                        fields.is_archived,
                        now_ms,
                    ),
                ),
                told(Earlier(1, "space_id"), "room.updated", user_id, now_ms, room=str(room_id), **changed),
            ],
            why=lambda: self._why_not_updated(user_id, room_id, group_id),
            result={"room_id": str(room_id)},
        )
        return await self._named(act, f"the space has a room {fields.name!r} already")

    async def get(self, user_id: int, room_id: int) -> bytes:
        """Return a room as JSON.

        Raises:
            NotFound: There is no such room for this user.
        """
        found = await self._tables.text("room", room_id, user_id)
        if found == b"null":
            raise NotFound(f"there is no room {room_id}", what="room")
        return found

    async def of_space(self, user_id: int, space_id: int) -> bytes:
        """Return the rooms of a space in their order, as JSON.

        Raises:
            NotFound: There is no such space for this user.
        """
        await standing_in(self._tables, user_id, space_id)
        return await self._tables.text("space_rooms", space_id, user_id)

    async def of_user(self, user_id: int) -> bytes:
        """Return the rooms of all spaces that the user is in, as JSON, with how far each has come and was read."""
        return await self._tables.text("rooms", user_id)

    async def _named(self, act: Act, taken: str) -> dict[str, Any]:
        try:
            return await self._acting.perform(act)
        except ConstraintViolated as error:
            raise Taken(taken, field="name") from error

    async def _why_no_room(self, user_id: int, space_id: int, group_id: int | None) -> None:
        standing = await standing_in(self._tables, user_id, space_id)
        standing.require_group()
        standing.require("manage_rooms")
        await self._require_group(space_id, group_id)
        most = self._limits.max_rooms_per_space
        row = await self._tables.one("room_count", space_id)
        if row is not None and row[0] >= most:
            raise LimitReached(f"a space may have {most} rooms", limit=most)

    async def _why_not_updated(self, user_id: int, room_id: int, group_id: int | None) -> None:
        row = await self._tables.one("standing", room_id, user_id)
        if row is None or row[2] is None:
            raise NotFound(f"there is no room {room_id}", what="room")
        standing = await standing_in(self._tables, user_id, row[0])
        standing.require_group()
        standing.require("manage_rooms")
        await self._require_group(row[0], group_id)

    async def _require_group(self, space_id: int, group_id: int | None) -> None:
        if group_id and await self._tables.one("has_group", group_id, space_id) is None:
            raise NotFound(f"there is no group {group_id} in the space {space_id}", what="group")


def _checked(fields: RoomFields) -> dict[str, Any]:
    """Return the fields as plain values."""
    plain: dict[str, Any] = {
        name: value for name, value in msgspec.to_builtins(fields).items() if value is not None
    }
    if not plain:
        raise InvalidValue("nothing is given that changes", field="fields")
    if fields.name is not None:
        check_text(fields.name, "name", MAX_NAME_CHARACTERS)
    if fields.topic is not None:
        check_text(fields.topic, "topic", MAX_TOPIC_CHARACTERS, least=0)
    check_place(fields.place)
    return plain


def check_place(place: int | None) -> None:
    """Let a place in an order pass.

    Raises:
        InvalidValue: It is out of bounds.
    """
    if place is not None and not 0 <= place <= MAX_PLACE:
        raise InvalidValue(f"the place is {place}; 0 to {MAX_PLACE} are allowed", field="place")


def _group_id(group: str | None) -> int | None:
    if group is None:
        return None
    return parsed_id(group, "group") if group else _NO_GROUP

"""The groups that a space's rooms are shown in: named, ordered, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.domain.acting import USER, Act, told
from chat.domain.permissions import LEAST_RANK
from chat.domain.refusals import InvalidValue, LimitReached, NotFound, Taken
from chat.domain.rooms import check_place
from chat.domain.standing import standing_in
from chat.domain.texts import MAX_NAME_CHARACTERS, check_text
from storage import ConstraintViolated, Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.tables import Tables

_LEAST: Final = LEAST_RANK["manage_rooms"]


class Groups:
    """Makes and changes groups of rooms."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits

    async def create(self, user_id: int, client_id: str, space_id: int, *, name: str) -> dict[str, Any]:
        """Make a group in a space, after those that are there.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted, Taken, LimitReached, InvalidValue.
        """
        check_text(name, "name", MAX_NAME_CHARACTERS)
        now_ms = self._acting.now_ms()
        made = Earlier(1, "id")
        most = self._limits.max_groups_per_space
        body = msgspec.json.encode({"name": name}).decode()
        return await self._named(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="create-group",
                payload=[str(space_id), name],
                changes=[
                    ("new_group", (space_id, USER, _LEAST, name, most)),
                    ("tell_of", (space_id, "group.created", user_id, "group", body, now_ms, made)),
                    ("note_id", (user_id, client_id, "id", made)),
                ],
                why=lambda: self._why_no_more(user_id, space_id),
                notes=True,
            ),
            name,
        )

    async def update(
        self,
        user_id: int,
        client_id: str,
        space_id: int,
        group_id: int,
        *,
        name: str | None = None,
        place: int | None = None,
    ) -> dict[str, Any]:
        """Give a group another name or place.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted, Taken, InvalidValue.
        """
        if name is None and place is None:
            raise InvalidValue("nothing is given that changes", field="name")
        if name is not None:
            check_text(name, "name", MAX_NAME_CHARACTERS)
        check_place(place)
        now_ms = self._acting.now_ms()
        changed = {key: value for key, value in (("name", name), ("place", place)) if value is not None}
        return await self._named(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="update-group",
                payload=[str(space_id), str(group_id), changed],
                changes=[
                    ("update_group", (group_id, USER, _LEAST, name, place, space_id)),
                    told(
                        Earlier(1, "space_id"),
                        "group.updated",
                        user_id,
                        now_ms,
                        group=str(group_id),
                        **changed,
                    ),
                ],
                why=lambda: self._why_not(user_id, space_id, group_id),
                result={"group_id": str(group_id)},
            ),
            name,
        )

    async def delete(self, user_id: int, client_id: str, space_id: int, group_id: int) -> dict[str, Any]:
        """Take a group away; its rooms stay, in none. One that is gone is a success.

        Raises:
            ChatRefusal: As `Acting.perform`: NotPermitted; NotFound also for a group of another space.
        """
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="delete-group",
                payload=[str(space_id), str(group_id)],
                changes=[
                    ("delete_group", (group_id, USER, _LEAST, space_id)),
                    told(Earlier(1, "space_id"), "group.deleted", user_id, now_ms, group=str(group_id)),
                ],
                why=lambda: self._why_not_deleted(user_id, space_id, group_id),
                result={"group_id": str(group_id)},
            )
        )

    async def of_space(self, user_id: int, space_id: int) -> bytes:
        """Return the groups of a space in their order, as JSON.

        Raises:
            NotFound: There is no such space for this user.
        """
        await standing_in(self._tables, user_id, space_id)
        return await self._tables.text("groups", space_id, user_id)

    async def _named(self, act: Act, name: str | None) -> dict[str, Any]:
        try:
            return await self._acting.perform(act)
        except ConstraintViolated as error:
            raise Taken(f"the space has a group {name!r} already", field="name") from error

    async def _why_not(self, user_id: int, space_id: int, group_id: int | None) -> None:
        standing = await standing_in(self._tables, user_id, space_id)
        standing.require_group()
        standing.require("manage_rooms")
        if group_id is not None and await self._tables.one("has_group", group_id, space_id) is None:
            raise NotFound(f"there is no group {group_id} in the space {space_id}", what="group")

    async def _why_not_deleted(self, user_id: int, space_id: int, group_id: int) -> None:
        await self._why_not(user_id, space_id, None)
        if await self._tables.one("is_group_elsewhere", group_id, space_id) is not None:
            raise NotFound(f"there is no group {group_id} in the space {space_id}", what="group")

    async def _why_no_more(self, user_id: int, space_id: int) -> None:
        await self._why_not(user_id, space_id, None)
        most = self._limits.max_groups_per_space
        row = await self._tables.one("group_count", space_id)
        if row is not None and row[0] >= most:
            raise LimitReached(f"a space may have {most} groups", limit=most)

"""Conversations of two: a space with one room, made when one of them first asks for it, the same for both.

Nobody else comes in and neither goes. Both are members; in such a room a member may pin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.domain.acting import USER, Act, told
from chat.domain.permissions import Rank
from chat.domain.refusals import InvalidValue, NotFound
from chat.domain.spaces import new_epoch
from storage import ConstraintViolated, Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.spaces import Spaces
    from chat.domain.tables import Step, Tables

_KIND = "open-direct"


class Direct:
    """Opens conversations of two."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits, spaces: Spaces) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits
        self._spaces = spaces

    async def open(self, user_id: int, client_id: str, other_id: int) -> dict[str, Any]:
        """Return the conversation of the user and another one, made if there is none yet.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, InvalidValue, LimitReached.
        """
        if user_id == other_id:
            raise InvalidValue("a conversation is with somebody else", field="user")
        if await self._tables.one("is_user", other_id) is None:
            raise NotFound(f"there is no user {other_id}", what="user")
        pair = f"{min(user_id, other_id)}:{max(user_id, other_id)}"
        found = await self._tables.one("direct_space", pair)
        if found is None:
            try:
                return await self._acting.perform(self._made(user_id, client_id, other_id, pair))
            except ConstraintViolated:  # the other one made it at the same moment
                found = await self._tables.one("direct_space", pair)
                if found is None:
                    raise
        space_id, room_id = found
        return await self._acting.perform(
            self._act(
                user_id,
                client_id,
                other_id,
                [
                    ("note_id", (USER, client_id, "space_id", space_id)),
                    ("note_id", (USER, client_id, "room_id", room_id)),
                ],
            )
        )

    def _made(self, user_id: int, client_id: str, other_id: int, pair: str) -> Act:
        now_ms = self._acting.now_ms()
        most = self._limits.max_spaces_per_user
        space, room = Earlier(2, "id"), Earlier(4, "id")
        return self._act(
            user_id,
            client_id,
            other_id,
            [
                ("new_stream", ("space", new_epoch())),
                ("new_space_of", (Earlier(1, "id"), "direct", "{}", False, pair, now_ms, USER, most)),
                ("new_stream", ("room", new_epoch())),
                ("direct_room", (Earlier(3, "id"), space, now_ms)),
                *(("new_member", (space, each, Rank.MEMBER, now_ms)) for each in (user_id, other_id)),
                *(
                    ("tell_of", (each, "space.joined", user_id, "space", "{}", now_ms, space))
                    for each in (user_id, other_id)
                ),
                told(space, "space.created", user_id, now_ms),
                ("note_id", (user_id, client_id, "space_id", space)),
                ("note_id", (user_id, client_id, "room_id", room)),
            ],
        )

    def _act(self, user_id: int, client_id: str, other_id: int, changes: list[Step]) -> Act:
        return Act(
            user_id=user_id,
            client_id=client_id,
            kind=_KIND,
            payload=[str(other_id)],
            changes=changes,
            why=lambda: self._spaces.why_no_more(user_id),
            notes=True,
        )

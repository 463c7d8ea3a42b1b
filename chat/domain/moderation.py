"""What moderators do to members below them: removing them, and letting them write no more for a while.

A mute is kept beside the membership, so that leaving and joining again does not end it. While it lasts, nothing of the
user's that others would see comes in: no message, edit, reaction or pin. What they take back goes away all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chat.domain.acting import USER, Act, told
from chat.domain.permissions import LEAST_RANK, Rank, may_act_on
from chat.domain.refusals import InvalidValue, NotFound, NotPermitted
from chat.domain.standing import both_in, standing_in
from storage import Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.permissions import Deed
    from chat.domain.standing import Standing
    from chat.domain.tables import Tables

FOR_EVER_MS: Final = 253_402_300_799_999
"""The end of the year 9999: until then is muted who is muted without an end."""
_SPACE: Final = Earlier(1, "space_id")


class Moderation:
    """Removes and mutes members of lower rank."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits

    async def kick(self, user_id: int, client_id: str, space_id: int, other_id: int) -> dict[str, Any]:
        """Remove a member of a lower rank; who has left already is a success.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted.
        """
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="kick-user",
                payload=[str(space_id), str(other_id)],
                changes=[
                    ("kick", (space_id, USER, LEAST_RANK["kick"], other_id)),
                    told(_SPACE, "member.kicked", user_id, now_ms, user=str(other_id)),
                    told(other_id, "space.left", user_id, now_ms, space=str(space_id)),
                ],
                why=lambda: self._why_not_on(user_id, space_id, other_id, "kick"),
                result={"space_id": str(space_id), "user_id": str(other_id)},
            )
        )

    async def mute(
        self, user_id: int, client_id: str, space_id: int, other_id: int, *, until_ms: int | None = None
    ) -> dict[str, Any]:
        """Let a member of a lower rank write no more until a time; without one, until somebody unmutes them.

        It outlives leaving and joining again.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted, InvalidValue.
        """
        now_ms = self._acting.now_ms()
        end_ms = FOR_EVER_MS if until_ms is None else until_ms
        if not 0 < end_ms <= FOR_EVER_MS:
            raise InvalidValue(
                f"until_ms is {end_ms}; a time in milliseconds of UTC up to the year 9999 is allowed",
                field="until_ms",
            )
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="mute-user",
                payload=[str(space_id), str(other_id), until_ms],
                changes=[
                    ("mute", (space_id, USER, LEAST_RANK["mute"], other_id, end_ms)),
                    ("note_mute", (space_id, USER, other_id, end_ms, now_ms)),
                    told(_SPACE, "member.muted", user_id, now_ms, user=str(other_id), until_ms=end_ms),
                ],
                why=lambda: self._why_not_on(user_id, space_id, other_id, "mute", has_to_be_in=True),
                result={"space_id": str(space_id), "user_id": str(other_id), "until_ms": end_ms},
            )
        )

    async def unmute(self, user_id: int, client_id: str, space_id: int, other_id: int) -> dict[str, Any]:
        """Let somebody write again; who is not muted is a success.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted.
        """
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="unmute-user",
                payload=[str(space_id), str(other_id)],
                changes=[
                    ("unmute", (space_id, USER, LEAST_RANK["mute"], other_id)),
                    ("let_write", (space_id, other_id)),
                    told(_SPACE, "member.unmuted", user_id, now_ms, user=str(other_id)),
                ],
                why=lambda: self._why_not_on(user_id, space_id, other_id, "mute"),
                result={"space_id": str(space_id), "user_id": str(other_id)},
            )
        )

    async def muted(self, user_id: int, space_id: int, *, after: int, limit: int) -> bytes:
        """Return who is muted in a space, by their ids, as JSON.

        Raises:
            NotFound: There is no such space for this user.
            NotPermitted: The user may not mute.
        """
        (await standing_in(self._tables, user_id, space_id)).require("mute")
        count = self._limits.page_count(limit)
        now_ms = self._acting.now_ms()
        return await self._tables.text("muted", space_id, user_id, LEAST_RANK["mute"], now_ms, after, count)

    async def _why_not_on(
        self, user_id: int, space_id: int, other_id: int, deed: Deed, *, has_to_be_in: bool = False
    ) -> None:
        mine, theirs = await both_in(self._tables, user_id, space_id, other_id)
        mine.require_group()
        mine.require(deed)
        if theirs is None:
            if has_to_be_in:
                raise NotFound(f"there is no member {other_id} in the space {space_id}", what="user")
        elif not may_act_on(mine.rank, theirs.rank):
            raise NotPermitted(f"you can {deed} only who has a lower role than you", needed=_above(theirs))


def _above(standing: Standing) -> str:
    return Rank(min(standing.rank + 1, Rank.OWNER)).role

"""Who is in a space: coming and going, and roles.

What happens to somebody is told in the space's stream, and in their own, where all their devices hear of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chat.domain.acting import USER, Act, told
from chat.domain.permissions import LEAST_RANK, Rank, may_give
from chat.domain.refusals import LimitReached, NotFound, NotPermitted
from chat.domain.standing import Standing, both_in, standing_in
from storage import Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.spaces import Spaces
    from chat.domain.tables import Step, Tables

_SPACE: Final = Earlier(1, "space_id")


class Members:
    """Lets users in and out, and says what they may do."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits, spaces: Spaces) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits
        self._spaces = spaces

    async def join(self, user_id: int, client_id: str, space_id: int) -> dict[str, Any]:
        """Become a member of an open space; who is one already is answered the same.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, LimitReached.
        """
        now_ms = self._acting.now_ms()
        limits = self._limits
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="join-space",
                payload=[str(space_id)],
                changes=[
                    (
                        "join",
                        (
                            space_id,
                            USER,
                            Rank.MEMBER,
                            now_ms,
                            limits.max_members_per_space,
                            limits.max_spaces_per_user,
                        ),
                    ),
                    *joined(space_id, user_id, now_ms),
                ],
                why=lambda: self._why_not_in(user_id, space_id),
                result={"space_id": str(space_id)},
            )
        )

    async def leave(self, user_id: int, client_id: str, space_id: int) -> dict[str, Any]:
        """Be a member no longer; who is none is answered the same.

        Raises:
            ChatRefusal: As `Acting.perform`: NotPermitted for the last owner, and in a conversation of two.
        """
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="leave-space",
                payload=[str(space_id)],
                changes=[
                    ("leave", (space_id, USER, Rank.OWNER)),
                    told(_SPACE, "member.left", user_id, now_ms, user=str(user_id)),
                    told(user_id, "space.left", user_id, now_ms, space=str(space_id)),
                ],
                why=lambda: self._why_not_out(user_id, space_id),
                result={"space_id": str(space_id)},
            )
        )

    async def change_role(
        self, user_id: int, client_id: str, space_id: int, other_id: int, rank: Rank
    ) -> dict[str, Any]:
        """Give a member another role; one owner stays.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted.
        """
        now_ms = self._acting.now_ms()
        least = LEAST_RANK["change_roles"]
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="change-role",
                payload=[str(space_id), str(other_id), rank.role],
                changes=[
                    ("change_role", (space_id, USER, least, other_id, rank, Rank.OWNER)),
                    told(_SPACE, "member.changed", user_id, now_ms, user=str(other_id), role=rank.role),
                ],
                why=lambda: self._why_no_role(user_id, space_id, other_id, rank),
                result={"space_id": str(space_id), "user_id": str(other_id), "role": rank.role},
            )
        )

    async def page(self, user_id: int, space_id: int, *, after: int, limit: int) -> bytes:
        """Return members of a space by their ids, as JSON.

        Raises:
            NotFound: There is no such space for this user.
        """
        await standing_in(self._tables, user_id, space_id)
        return await self._tables.text("members", space_id, user_id, after, self._limits.page_count(limit))

    async def why_full(self, space_id: int, member_count: int) -> None:
        """Raise if a space has as many members as there may be.

        Raises:
            LimitReached: It has.
        """
        most = self._limits.max_members_per_space
        if member_count >= most:
            raise LimitReached(f"the space {space_id} has {most} members, and may have no more", limit=most)

    async def _why_not_in(self, user_id: int, space_id: int) -> None:
        row = await self._tables.one("space_standing", space_id, user_id)
        if row is None or (row[3] is None and not row[1]):
            raise NotFound(f"there is no space {space_id} that you can join", what="space")
        if row[3] is None:
            await self.why_full(space_id, row[5])
            await self._spaces.why_no_more(user_id)

    async def _why_not_out(self, user_id: int, space_id: int) -> None:
        row = await self._tables.one("space_standing", space_id, user_id)
        if row is None or row[3] is None:
            return
        Standing(*row).require_group()
        if row[3] == Rank.OWNER and not await self._has_other_owner(space_id, user_id):
            raise NotPermitted("the last owner can't leave; make somebody else owner first", needed="owner")

    async def _why_no_role(self, user_id: int, space_id: int, other_id: int, rank: Rank) -> None:
        mine, theirs = await both_in(self._tables, user_id, space_id, other_id)
        mine.require_group()
        mine.require("change_roles")
        if theirs is None:
            raise NotFound(f"there is no member {other_id} in the space {space_id}", what="user")
        if not may_give(mine.rank, theirs.rank, rank):
            raise NotPermitted(
                "you can give roles below your own, and to those below you", needed=Rank.OWNER.role
            )
        if theirs.rank == Rank.OWNER != rank and not await self._has_other_owner(space_id, other_id):
            raise NotPermitted("the last owner stays owner; make somebody else owner first", needed="owner")

    async def _has_other_owner(self, space_id: int, user_id: int) -> bool:
        return await self._tables.one("other_owner", space_id, user_id, Rank.OWNER) is not None


def joined(space_id: int, user_id: int, now_ms: int) -> list[Step]:
    """Return the changes that tell of a new member, the space first; the change at place 1 let them in."""
    role = Rank.MEMBER.role
    return [
        told(_SPACE, "member.joined", user_id, now_ms, user=str(user_id), role=role),
        told(user_id, "space.joined", user_id, now_ms, space=str(space_id)),
    ]

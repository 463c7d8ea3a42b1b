"""What a user is in a space, and what that lets them do: where the reason of a refusal is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chat.domain.permissions import LEAST_RANK, Rank, may
from chat.domain.refusals import NotFound, NotPermitted

if TYPE_CHECKING:
    from chat.domain.permissions import Deed
    from chat.domain.tables import Tables


class Standing(NamedTuple):
    """A space, and a member of it."""

    kind: str
    is_open: int
    version: int
    """Of the space's settings."""
    rank: int
    muted_until_ms: int
    member_count: int

    def require(self, deed: Deed) -> None:
        """Let pass whoever may do it.

        Raises:
            NotPermitted: The member's rank is too low.
        """
        if not may(self.rank, deed):
            needed = LEAST_RANK[deed].role
            raise NotPermitted(f"this needs the role {needed}; you are {Rank(self.rank).role}", needed=needed)

    def require_group(self) -> None:
        """Let pass what can't be done to a direct space.

        Raises:
            NotPermitted: The space is one of two users.
        """
        if self.kind == "direct":
            raise NotPermitted("a conversation of two stays as it is", needed=Rank.OWNER.role)


async def standing_in(tables: Tables, user_id: int, space_id: int) -> Standing:
    """Return what a user is in a space.

    Raises:
        NotFound: The user is no member, or there is no such space; which of them, is nobody else's business.
    """
    row = await tables.one("space_standing", space_id, user_id)
    if row is None or row[3] is None:
        raise NotFound(f"there is no space {space_id}", what="space")
    return Standing(*row)


async def both_in(
    tables: Tables, user_id: int, space_id: int, other_id: int
) -> tuple[Standing, Standing | None]:
    """Return what a user is in a space, and what another one is there: None if they are no member.

    Raises:
        NotFound: As `standing_in`.
    """
    mine = await standing_in(tables, user_id, space_id)
    row = await tables.one("space_standing", space_id, other_id)
    return mine, None if row is None or row[3] is None else Standing(*row)

"""Who may do what in a space: the one table, from which every statement and every refusal takes its least role. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal


class Rank(IntEnum):
    """A member's role in a space; each may do what those below may."""

    MEMBER = 1
    MODERATOR = 2
    ADMIN = 3
    OWNER = 4

    @property
    def role(self) -> str:
        """The role's name on the wire."""
        return self.name.lower()


Deed = Literal[
    "read",
    "send",
    "edit_own",
    "delete_own",
    "delete_others",
    "react",
    "pin",
    "invite",
    "kick",
    "mute",
    "update_space",
    "manage_rooms",
    "change_roles",
    "delete_space",
]

LEAST_RANK: Final[dict[Deed, Rank]] = {
    "read": Rank.MEMBER,
    "send": Rank.MEMBER,
    "edit_own": Rank.MEMBER,
    "delete_own": Rank.MEMBER,
    "react": Rank.MEMBER,
    "invite": Rank.MEMBER,
    "delete_others": Rank.MODERATOR,
    "pin": Rank.MODERATOR,
    "kick": Rank.MODERATOR,
    "mute": Rank.MODERATOR,
    "update_space": Rank.ADMIN,
    "manage_rooms": Rank.ADMIN,
    "change_roles": Rank.ADMIN,
    "delete_space": Rank.OWNER,
}


ADDING: Final[frozenset[Deed]] = frozenset({"send", "edit_own", "react", "pin"})
"""What adds to a room: refused to who is muted, and in an archived room. Taking away is not."""


def may(rank: int, deed: Deed) -> bool:
    """Tell whether a member of this rank may do it."""
    return rank >= LEAST_RANK[deed]


def may_act_on(rank: int, other: int) -> bool:
    """Tell whether a member may kick or mute another: only those below."""
    return rank > other


def may_give(rank: int, old: int, new: int) -> bool:
    """Tell whether a member may make another one's rank `new`: an owner any, others below their own only."""
    return may(rank, "change_roles") and (rank == Rank.OWNER or (rank > old and rank > new))

"""Links that let somebody into a space. The secret of one is told once, to who makes it; kept is its SHA-256 alone.

The hash is also the link's name: it tells nothing of the secret, which has 192 bits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any, Final

from chat.domain.acting import USER, Act
from chat.domain.members import joined
from chat.domain.permissions import LEAST_RANK, Rank
from chat.domain.refusals import InvalidValue, LimitReached, NotFound
from chat.domain.standing import standing_in
from storage import Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.members import Members
    from chat.domain.spaces import Spaces
    from chat.domain.tables import Tables

PREFIX: Final = "dsi_"
DEFAULT_AGE_S: Final = 7 * 86_400
DEFAULT_USES: Final = 100

_SECRET_BYTES: Final = 24
_ID = re.compile(r"[0-9a-f]{64}")
_OTHERS: Final = LEAST_RANK["kick"]
"""Who sees the links of others, and takes them away."""


class Invites:
    """Makes links, takes them away, lets in who has one."""

    def __init__(
        self, tables: Tables, acting: Acting, limits: ChatLimits, spaces: Spaces, members: Members
    ) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits
        self._spaces = spaces
        self._members = members

    async def create(
        self,
        user_id: int,
        client_id: str,
        space_id: int,
        *,
        age_s: float | None = None,
        uses: int | None = None,
    ) -> dict[str, Any]:
        """Make a link; its secret is in this answer and nowhere else, so not in one to the same client id again.

        It lives for `DEFAULT_AGE_S` and lets in `DEFAULT_USES` users, unless it says otherwise.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted, LimitReached, InvalidValue.
        """
        age_s = DEFAULT_AGE_S if age_s is None else age_s
        uses = DEFAULT_USES if uses is None else uses
        self._check(age_s, uses)
        now_ms = self._acting.now_ms()
        expires_at_ms = now_ms + int(age_s * 1_000)
        secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        link = _hash(secret)
        most = self._limits.max_invites_per_space
        least = LEAST_RANK["invite"]
        answer = await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="create-invite",
                payload=[str(space_id), age_s, uses],
                changes=[
                    ("forget_invites", (space_id, now_ms)),
                    ("new_invite", (link, space_id, USER, least, expires_at_ms, uses, most)),
                    ("note_id", (user_id, client_id, "space_id", Earlier(2, "space_id"))),
                ],
                why=lambda: self._why_no_more(user_id, space_id),
                result={
                    "id": link.hex(),
                    "space_id": str(space_id),
                    "expires_at_ms": expires_at_ms,
                    "uses_left": uses,
                },
            )
        )
        return answer if answer["duplicate"] else {**answer, "secret": secret}

    async def delete(self, user_id: int, client_id: str, space_id: int, link_id: str) -> dict[str, Any]:
        """Let a link lead nowhere; one that is gone is a success.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound for a link of somebody else's that is not the user's business.
        """
        if not _ID.fullmatch(link_id):
            raise NotFound(f"there is no link {link_id[:64]!r}", what="invite")
        link = bytes.fromhex(link_id)
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="delete-invite",
                payload=[str(space_id), link_id],
                changes=[
                    ("delete_invite", (space_id, USER, _OTHERS, link)),
                    ("note_id", (user_id, client_id, "space_id", Earlier(1, "space_id"))),
                ],
                why=lambda: self._why_not_deleted(user_id, space_id, link),
                result={"id": link_id, "space_id": str(space_id)},
            )
        )

    async def join(self, user_id: int, client_id: str, secret: str) -> dict[str, Any]:
        """Become a member of the space that a link leads to; who is one already uses up nothing.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound for a link that leads nowhere (any more), LimitReached.
        """
        now_ms = self._acting.now_ms()
        link = _hash(secret)
        row = await self._tables.one("invite", link)
        space_id = 0 if row is None else row[0]
        limits = self._limits
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="use-invite",
                payload=[link.hex()],
                changes=[
                    (
                        "use_invite",
                        (link, USER, now_ms, limits.max_members_per_space, limits.max_spaces_per_user),
                    ),
                    ("new_member", (Earlier(1, "space_id"), USER, Rank.MEMBER, now_ms)),
                    *joined(space_id, user_id, now_ms),
                ],
                why=lambda: self._why_not_in(user_id, link),
                result={"space_id": str(space_id)},
            )
        )

    async def of_space(self, user_id: int, space_id: int) -> bytes:
        """Return the links of a space that let somebody in, as JSON: one's own, or all for moderators.

        Raises:
            NotFound: There is no such space for this user.
        """
        await standing_in(self._tables, user_id, space_id)
        return await self._tables.text("invites", space_id, user_id, _OTHERS, self._acting.now_ms())

    def _check(self, age_s: float, uses: int) -> None:
        most_s, most = self._limits.max_invite_age_s, self._limits.max_invite_uses
        if not 1 <= age_s <= most_s:
            raise InvalidValue(f"age_s is {age_s}; 1 to {most_s:.0f} are allowed", field="age_s")
        if not 1 <= uses <= most:
            raise InvalidValue(f"uses is {uses}; 1 to {most} are allowed", field="uses")

    async def _why_no_more(self, user_id: int, space_id: int) -> None:
        standing = await standing_in(self._tables, user_id, space_id)
        standing.require_group()
        standing.require("invite")
        most = self._limits.max_invites_per_space
        row = await self._tables.one("invite_count", space_id)
        if row is not None and row[0] >= most:
            raise LimitReached(f"a space may have {most} links that let somebody in", limit=most)

    async def _why_not_deleted(self, user_id: int, space_id: int, link: bytes) -> None:
        await standing_in(self._tables, user_id, space_id)
        row = await self._tables.one("invite", link)
        if row is not None:
            raise NotFound(f"there is no link {link.hex()} of yours", what="invite")

    async def _why_not_in(self, user_id: int, link: bytes) -> None:
        row = await self._tables.one("invite", link)
        standing = None if row is None else await self._tables.one("space_standing", row[0], user_id)
        if row is None or standing is None:
            raise NotFound("the link leads nowhere", what="invite")
        if standing[3] is not None:
            return
        space_id, expires_at_ms, uses_left = row
        if expires_at_ms <= self._acting.now_ms() or not uses_left:
            raise NotFound("the link leads nowhere any more", what="invite")
        await self._members.why_full(space_id, standing[5])
        await self._spaces.why_no_more(user_id)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

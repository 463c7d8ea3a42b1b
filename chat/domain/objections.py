"""What stands against a change of a message: asked only when the change touched no row, to tell the user why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.domain.permissions import ADDING, LEAST_RANK, Rank
from chat.domain.refusals import Gone, LimitReached, Muted, NotFound, NotPermitted

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.permissions import Deed
    from chat.domain.tables import Tables


class Objections:
    """Finds the reason; each method returns if there is none, or if the message is as it is wanted already."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits

    async def to_read(self, user_id: int, message_id: int) -> None:
        """Raise if there is no such message for the user.

        Raises:
            NotFound: There is none.
        """
        await self._standing(user_id, message_id, "read")

    async def to_edit(self, user_id: int, message_id: int, content: str) -> None:
        """Raise what stands against an edit.

        Raises:
            ChatRefusal: NotFound, Gone, NotPermitted, Muted, LimitReached.
        """
        await self._standing(user_id, message_id, "edit_own")
        most = self._limits.max_edits_per_message
        if await self._first("edit_count", message_id) >= most and (
            await self._first("content", message_id) != content
        ):
            raise LimitReached(f"a message may be edited {most} times", limit=most)

    async def to_delete(self, user_id: int, message_id: int) -> None:
        """Raise what stands against a deletion.

        Raises:
            ChatRefusal: NotFound, NotPermitted.
        """
        await self._standing(user_id, message_id, "delete_others")

    async def to_react(self, user_id: int, message_id: int, emoji: str, *, is_on: bool) -> None:
        """Raise what stands against a reaction, or against taking it back.

        Raises:
            ChatRefusal: NotFound, Gone, NotPermitted, Muted, LimitReached.
        """
        await self._standing(user_id, message_id, "react", adds=is_on)
        most = self._limits.max_emoji_per_message
        if (
            is_on
            and await self._first("emoji_count", message_id, emoji) >= most
            and (await self._tables.one("has_reaction", message_id, emoji, user_id) is None)
        ):
            raise LimitReached(f"a message may have {most} different reactions", limit=most)

    async def to_pin(self, user_id: int, message_id: int, *, is_on: bool) -> None:
        """Raise what stands against a pin, or against taking it away.

        Raises:
            ChatRefusal: NotFound, Gone, NotPermitted, Muted, LimitReached.
        """
        await self._standing(user_id, message_id, "pin", adds=is_on)
        most = self._limits.max_pins_per_room
        if (
            is_on
            and await self._first("pin_count", message_id) >= most
            and (await self._tables.one("is_pinned", message_id) is None)
        ):
            raise LimitReached(f"a room may have {most} pinned messages", limit=most)

    async def _standing(
        self, user_id: int, message_id: int, deed: Deed, *, adds: bool = True
    ) -> tuple[Any, ...]:
        """Raise what stands against a deed on a message; return it if nothing does but its own state."""
        row = await self._tables.one("message_named", user_id, message_id, None)
        standing = None if row is None else await self._tables.one("standing", row[1], user_id)
        if row is None or standing is None or standing[2] is None:
            raise NotFound(f"there is no message {message_id}", what="message")
        _, archived_at_ms, rank, muted_until_ms, kind = standing
        least = Rank.MEMBER if kind == "direct" and deed == "pin" else LEAST_RANK[deed]
        if rank < least and not (deed == "delete_others" and row[2] == user_id):
            raise NotPermitted(
                f"this needs the role {least.role}; you are {Rank(rank).role}", needed=least.role
            )
        if deed == "edit_own" and row[2] != user_id:
            raise NotPermitted("only its sender edits a message", needed="the sender")
        if adds and deed in ADDING:
            if row[3] is not None:
                raise Gone(f"the message {message_id} was deleted", what="message")
            if archived_at_ms is not None:
                raise NotPermitted(f"the room {row[1]} is archived", needed=Rank.MEMBER.role)
            if muted_until_ms > self._acting.now_ms():
                raise Muted("you are muted in this space", until_ms=muted_until_ms)
        return row

    async def _first(self, name: str, *params: Any) -> Any:
        row = await self._tables.one(name, *params)
        return None if row is None else row[0]

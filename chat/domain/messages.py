"""What is done to messages that are there: edits, deletions, reactions, pins; and the pages that members read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chat.domain.acting import USER, Act
from chat.domain.ids import maybe_number
from chat.domain.mentions import mentioned
from chat.domain.objections import Objections
from chat.domain.permissions import LEAST_RANK
from chat.domain.refusals import InvalidValue, NotFound
from storage import Earlier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.tables import Step, Tables

_MAX_EMOJI_CHARACTERS = 64
_FIRST_CHANGE = 1
"""The place of an act's first change: its record comes before."""


class Messages:
    """Changes messages, each change with its event."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits
        self._objections = Objections(tables, acting, limits)

    async def edit(
        self, user_id: int, client_id: str, message: str, content: str, mentions: Sequence[int] = ()
    ) -> dict[str, Any]:
        """Give a message of the user's own another content and other mentions; what it said before is kept.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, Gone, NotPermitted, Muted, InvalidValue, LimitReached.
        """
        size = len(content.encode())
        if size > self._limits.max_content_bytes:
            raise InvalidValue(
                f"the content has {size} bytes; at most {self._limits.max_content_bytes} are allowed",
                field="content",
            )
        limits = self._limits
        named = mentioned(content, mentions, most=limits.max_mentions_per_message)
        message_id = await self.found(user_id, message)
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="edit-message",
                payload=[str(message_id), content, *mentions],
                changes=[
                    ("edit", (message_id, USER, content, now_ms, named, limits.max_edits_per_message)),
                    _event("message.edited", user_id, message_id, now_ms),
                ],
                why=lambda: self._objections.to_edit(user_id, message_id, content),
                result={"message_id": str(message_id)},
            )
        )

    async def delete(self, user_id: int, client_id: str, message: str) -> dict[str, Any]:
        """Take the content of a message away for good, its reactions and its pin too; its place stays.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted. A message that is deleted already is a success.
        """
        message_id = await self.found(user_id, message)
        now_ms = self._acting.now_ms()
        least = LEAST_RANK["delete_others"]
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="delete-message",
                payload=[str(message_id)],
                changes=[
                    ("delete", (message_id, USER, least, now_ms)),
                    _event("message.deleted", user_id, message_id, now_ms),
                    ("delete_reactions", (message_id,)),
                    ("delete_pin", (message_id,)),
                ],
                why=lambda: self._objections.to_delete(user_id, message_id),
                result={"message_id": str(message_id)},
            )
        )

    async def react(
        self, user_id: int, client_id: str, message: str, emoji: str, *, is_on: bool
    ) -> dict[str, Any]:
        """Put a reaction on a message, or take it away; a set: each user has an emoji on a message once.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, Gone, Muted, LimitReached, InvalidValue.
        """
        if not 0 < len(emoji) <= _MAX_EMOJI_CHARACTERS:
            raise InvalidValue(
                f"the emoji has {len(emoji)} characters; 1 to {_MAX_EMOJI_CHARACTERS} are allowed",
                field="emoji",
            )
        message_id = await self.found(user_id, message)
        now_ms = self._acting.now_ms()
        change: Step
        if is_on:
            change = ("react", (message_id, USER, emoji, now_ms, self._limits.max_emoji_per_message))
        else:
            change = ("unreact", (message_id, USER, emoji))
        body = msgspec.json.encode({"emoji": emoji}).decode()
        kind = "reaction.added" if is_on else "reaction.removed"
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="reaction",
                payload=[str(message_id), emoji, is_on],
                changes=[change, _event(kind, user_id, message_id, now_ms, body)],
                why=lambda: self._objections.to_react(user_id, message_id, emoji, is_on=is_on),
                result={"message_id": str(message_id)},
            )
        )

    async def pin(self, user_id: int, client_id: str, message: str, *, is_on: bool) -> dict[str, Any]:
        """Pin a message to its room, or take the pin away.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, Gone, NotPermitted, LimitReached.
        """
        message_id = await self.found(user_id, message)
        now_ms = self._acting.now_ms()
        least = LEAST_RANK["pin"]
        change: Step
        if is_on:
            change = ("pin", (message_id, USER, least, now_ms, self._limits.max_pins_per_room))
        else:
            change = ("unpin", (message_id, USER, least))
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="pin-message" if is_on else "unpin-message",
                payload=[str(message_id)],
                changes=[
                    change,
                    _event("pin.added" if is_on else "pin.removed", user_id, message_id, now_ms),
                ],
                why=lambda: self._objections.to_pin(user_id, message_id, is_on=is_on),
                result={"message_id": str(message_id)},
            )
        )

    async def found(self, user_id: int, message: str) -> int:
        """Return the id of a message that is named by it, or by the user's own client id.

        Raises:
            NotFound: There is none.
        """
        number = maybe_number(message)
        if number is not None:
            return number
        row = await self._tables.one("message_named", user_id, None, message)
        if row is None:
            raise NotFound(f"there is no message {message[:64]!r}", what="message")
        found: int = row[0]
        return found

    async def found_in(self, user_id: int, room_id: int, message: str) -> str:
        """Return the id of a message that is named as in `found`, and is in that room.

        A message never changes its room, so this holds for whatever is done to it next.

        Raises:
            NotFound: There is none, or it is in another room, which is told alike.
        """
        message_id = await self.found(user_id, message)
        row = await self._tables.one("message_named", user_id, message_id, None)
        if row is None or row[1] != room_id:
            raise NotFound(f"there is no message {message_id}", what="message")
        return str(message_id)

    async def page(self, user_id: int, room_id: int, *, after_seq: int, limit: int) -> bytes:
        """Return messages of a room after a seq as JSON, in their order; those of other kinds of events are no part.

        Raises:
            NotFound: There is no such room for this user.
        """
        found = await self._tables.text(
            "messages", room_id, user_id, after_seq, self._limits.page_count(limit)
        )
        return await self._checked(found, b'{"messages":[]}', room_id, user_id)

    async def page_before(self, user_id: int, room_id: int, *, before_seq: int, limit: int) -> bytes:
        """Return the nearest messages before a seq as JSON, in their order.

        Raises:
            NotFound: There is no such room for this user.
        """
        found = await self._tables.text(
            "messages_before", room_id, user_id, before_seq, self._limits.page_count(limit)
        )
        return await self._checked(found, b'{"messages":[]}', room_id, user_id)

    async def pins(self, user_id: int, room_id: int, *, after: int, limit: int) -> bytes:
        """Return the pinned messages of a room by their ids, as JSON, and who pinned each.

        Raises:
            NotFound: There is no such room for this user.
        """
        found = await self._tables.text("pins", room_id, user_id, after, self._limits.page_count(limit))
        return await self._checked(found, b'{"pins":[]}', room_id, user_id)

    async def edits(self, user_id: int, message: str, *, after: int, limit: int) -> bytes:
        """Return what a message said before it was edited, the oldest first, as JSON; of a deleted one, nothing.

        Raises:
            NotFound: There is no such message for this user.
        """
        message_id = await self.found(user_id, message)
        await self._objections.to_read(user_id, message_id)
        return await self._tables.text("edits", message_id, user_id, after, self._limits.page_count(limit))

    async def events(self, user_id: int, stream_id: int, *, after_seq: int, limit: int) -> bytes:
        """Return the events of a stream after a seq as JSON: dense, in their order.

        Raises:
            NotFound: There is no such stream for this user.
        """
        found = await self._tables.text(
            "events", stream_id, user_id, after_seq, self._limits.page_count(limit)
        )
        return await self._checked(found, b'{"events":[]}', stream_id, user_id)

    async def _checked(self, found: bytes, empty: bytes, stream_id: int, user_id: int) -> bytes:
        if found == empty and await self._tables.one("stream_state", stream_id, user_id) is None:
            raise NotFound(f"there is no room {stream_id}", what="room")
        return found


def _event(kind: str, user_id: int, message_id: int, now_ms: int, body: str | None = None) -> Step:
    return ("tell", (Earlier(_FIRST_CHANGE, "room_id"), kind, user_id, message_id, body, now_ms))

"""Spaces with their rooms and members: made, joined, left; each change is told in the space's own stream."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from chat.domain.acting import USER, Act
from chat.domain.permissions import LEAST_RANK, Rank
from chat.domain.refusals import InvalidValue, LimitReached, NotFound, NotPermitted, Taken
from storage import ConstraintViolated, Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.tables import Tables

MAX_NAME_CHARACTERS = 100
MAX_TOPIC_CHARACTERS = 1_000


class Spaces:
    """Makes spaces and rooms, and lets users in and out."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits

    async def create(
        self, user_id: int, client_id: str, *, name: str, description: str = "", is_open: bool = False
    ) -> dict[str, Any]:
        """Make a space that the user owns.

        Raises:
            ChatRefusal: As `Acting.perform`: InvalidValue.
        """
        check_text(name, "name", MAX_NAME_CHARACTERS)
        check_text(description, "description", MAX_TOPIC_CHARACTERS, least=0)
        now_ms = self._acting.now_ms()
        settings = msgspec.json.encode({"name": name, "description": description}).decode()
        body = msgspec.json.encode({"user": str(user_id), "role": Rank.OWNER.role}).decode()
        made = Earlier(1, "id")
        answer = await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="create-space",
                payload=[name, description, is_open],
                changes=[
                    ("new_stream", ("space", new_epoch())),
                    ("new_space", (made, "space", settings, is_open, None, now_ms)),
                    ("new_member", (made, USER, Rank.OWNER, now_ms)),
                    ("tell", (made, "member.joined", user_id, None, body, now_ms)),
                    ("made", (user_id, client_id, made)),
                ],
                why=_nothing,
            )
        )
        return await self._with_made(user_id, client_id, answer)

    async def create_room(
        self, user_id: int, client_id: str, space_id: int, *, name: str, topic: str = ""
    ) -> dict[str, Any]:
        """Make a room in a space.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted, Taken, LimitReached, InvalidValue.
        """
        check_text(name, "name", MAX_NAME_CHARACTERS)
        check_text(topic, "topic", MAX_TOPIC_CHARACTERS, least=0)
        now_ms = self._acting.now_ms()
        made = Earlier(1, "id")
        least = LEAST_RANK["manage_rooms"]
        body = msgspec.json.encode({"name": name, "topic": topic}).decode()
        act = Act(
            user_id=user_id,
            client_id=client_id,
            kind="create-room",
            payload=[str(space_id), name, topic],
            changes=[
                ("new_stream", ("room", new_epoch())),
                (
                    "new_room",
                    (made, space_id, USER, least, name, topic, now_ms, self._limits.max_rooms_per_space),
                ),
                ("made", (user_id, client_id, Earlier(2, "id"))),
                ("tell", (space_id, "room.created", user_id, None, body, now_ms)),
            ],
            why=lambda: self._why_no_room(user_id, space_id),
        )
        try:
            answer = await self._acting.perform(act)
        except ConstraintViolated as error:
            raise Taken(f"the space has a room {name!r} already", field="name") from error
        return await self._with_made(user_id, client_id, answer)

    async def join(self, user_id: int, client_id: str, space_id: int) -> dict[str, Any]:
        """Become a member of an open space; who is one already is answered the same.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound.
        """
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="join-space",
                payload=[str(space_id)],
                changes=[
                    ("join", (space_id, USER, Rank.MEMBER, now_ms)),
                    self._told("member.joined", user_id, user_id, now_ms, role=Rank.MEMBER.role),
                ],
                why=lambda: self._why_not_in(user_id, space_id),
                result={"space_id": str(space_id)},
            )
        )

    async def leave(self, user_id: int, client_id: str, space_id: int) -> dict[str, Any]:
        """Be a member no longer; who is none is answered the same.

        Raises:
            ChatRefusal: As `Acting.perform`: NotPermitted for the last owner.
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
                    self._told("member.left", user_id, user_id, now_ms),
                ],
                why=lambda: self._why_not_out(user_id, space_id),
                result={"space_id": str(space_id)},
            )
        )

    async def rooms(self, user_id: int) -> bytes:
        """Return the rooms of all spaces that the user is in, as JSON, with how far each has come and was read."""
        return await self._tables.text("rooms", user_id)

    def _told(self, kind: str, actor_id: int, user_id: int, now_ms: int, **more: Any) -> tuple[str, Any]:
        body = msgspec.json.encode({"user": str(user_id), **more}).decode()
        return ("tell", (Earlier(1, "space_id"), kind, actor_id, None, body, now_ms))

    async def _with_made(self, user_id: int, client_id: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Return `answer` with the id of what was made, which the record got in the same transaction."""
        found = await self._acting.answered(user_id, client_id)
        return {**answer, **({} if found is None else found["result"])}

    async def standing(self, user_id: int, space_id: int) -> tuple[Any, ...]:
        """Return kind, openness, version, rank and end of muting of a space that the user is in.

        Raises:
            NotFound: The user is no member, or there is no such space.
        """
        row = await self._tables.one("space_standing", space_id, user_id)
        if row is None or row[3] is None:
            raise NotFound(f"there is no space {space_id}", what="space")
        return row

    async def _why_no_room(self, user_id: int, space_id: int) -> None:
        rank = (await self.standing(user_id, space_id))[3]
        least = LEAST_RANK["manage_rooms"]
        if rank < least:
            raise NotPermitted(
                f"this needs the role {least.role}; you are {Rank(rank).role}", needed=least.role
            )
        most = self._limits.max_rooms_per_space
        raise LimitReached(f"a space may have {most} rooms", limit=most)

    async def _why_not_in(self, user_id: int, space_id: int) -> None:
        row = await self._tables.one("space_standing", space_id, user_id)
        if row is None or (row[3] is None and not row[1]):
            raise NotFound(f"there is no space {space_id} that you can join", what="space")

    async def _why_not_out(self, user_id: int, space_id: int) -> None:
        row = await self._tables.one("space_standing", space_id, user_id)
        if row is not None and row[3] is not None:
            raise NotPermitted("the last owner can't leave; make somebody else owner first", needed="owner")


def check_text(value: str, name: str, most: int, *, least: int = 1) -> None:
    """Let a short text pass.

    Raises:
        InvalidValue: It is too long or too short, or has control characters.
    """
    if not least <= len(value) <= most:
        raise InvalidValue(
            f"the {name} has {len(value)} characters; {least} to {most} are allowed", field=name
        )
    if any(character < " " for character in value):
        raise InvalidValue(f"the {name} has control characters; none are allowed", field=name)


def new_epoch() -> str:
    """Return what tells a stream from another one with the same id."""
    return secrets.token_hex(8)


async def _nothing() -> None:
    """Nothing can stand against it."""

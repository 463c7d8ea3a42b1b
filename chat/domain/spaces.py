"""Spaces: made, described by settings of one version after the other, and taken away by their owner."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from chat.domain.acting import USER, Act, told
from chat.domain.permissions import LEAST_RANK, Rank
from chat.domain.refusals import InvalidValue, LimitReached, NotFound, VersionConflict
from chat.domain.space_settings import checked
from chat.domain.standing import standing_in
from chat.domain.texts import MAX_NAME_CHARACTERS, MAX_TOPIC_CHARACTERS, check_text
from storage import Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.permissions import Deed
    from chat.domain.space_settings import SpaceFields
    from chat.domain.tables import Tables


class Spaces:
    """Makes spaces, changes them, ends them."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits

    async def create(
        self, user_id: int, client_id: str, *, name: str, description: str = "", is_open: bool = False
    ) -> dict[str, Any]:
        """Make a space that the user owns; whoever knows the id of an open one may join it.

        Raises:
            ChatRefusal: As `Acting.perform`: InvalidValue, LimitReached.
        """
        check_text(name, "name", MAX_NAME_CHARACTERS)
        check_text(description, "description", MAX_TOPIC_CHARACTERS, least=0)
        now_ms = self._acting.now_ms()
        settings = msgspec.json.encode({"name": name, "description": description}).decode()
        most = self._limits.max_spaces_per_user
        made = Earlier(2, "id")
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="create-space",
                payload=[name, description, is_open],
                changes=[
                    ("new_stream", ("space", new_epoch())),
                    (
                        "new_space_of",
                        (Earlier(1, "id"), "space", settings, is_open, None, now_ms, USER, most),
                    ),
                    ("new_member", (made, USER, Rank.OWNER, now_ms)),
                    told(made, "member.joined", user_id, now_ms, user=str(user_id), role=Rank.OWNER.role),
                    ("tell_of", (user_id, "space.joined", user_id, "space", "{}", now_ms, made)),
                    ("note_id", (user_id, client_id, "id", made)),
                ],
                why=lambda: self.why_no_more(user_id),
                notes=True,
            )
        )

    async def update(
        self, user_id: int, client_id: str, space_id: int, fields: SpaceFields, *, version: int | None = None
    ) -> dict[str, Any]:
        """Merge fields into the settings of a space; with `version`, only if nobody changed them since that one.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted, InvalidValue, VersionConflict with the settings
                as they are.
        """
        plain = checked(fields)
        now_ms = self._acting.now_ms()
        changed = msgspec.json.encode(plain).decode()
        least, most = LEAST_RANK["update_space"], self._limits.max_settings_bytes
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="update-space",
                payload=[str(space_id), plain, version],
                changes=[
                    ("update_space", (space_id, USER, least, changed, version, most)),
                    (
                        "tell_space_updated",
                        (
                            space_id,
                            user_id,
                            f'{{"settings":{changed}}}',
                            now_ms,
                            Earlier(1, "version"),
                        ),
                    ),
                    ("note_number", (user_id, client_id, "version", Earlier(1, "version"))),
                ],
                why=lambda: self._why_not_updated(user_id, space_id, changed, version),
                result={"space_id": str(space_id)},
                notes=True,
            )
        )

    async def open_to_all(
        self, user_id: int, client_id: str, space_id: int, *, is_open: bool
    ) -> dict[str, Any]:
        """Let whoever knows a space's id join it, or let them no longer.

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted.
        """
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="open-space",
                payload=[str(space_id), is_open],
                changes=[
                    ("open_space", (space_id, USER, LEAST_RANK["update_space"], is_open)),
                    told(Earlier(1, "id"), "space.opened", user_id, now_ms, is_open=is_open),
                ],
                why=lambda: self._why_not(user_id, space_id, "update_space"),
                result={"space_id": str(space_id)},
            )
        )

    async def delete(self, user_id: int, client_id: str, space_id: int) -> dict[str, Any]:
        """End a space: nobody is in it any more, no link leads there, and what was written goes bit by bit (`Upkeep`).

        Raises:
            ChatRefusal: As `Acting.perform`: NotFound, NotPermitted.
        """
        now_ms = self._acting.now_ms()
        ended = Earlier(1, "id")
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="delete-space",
                payload=[str(space_id)],
                changes=[
                    ("delete_space", (space_id, USER, LEAST_RANK["delete_space"], now_ms)),
                    told(ended, "space.deleted", user_id, now_ms),
                    told(user_id, "space.left", user_id, now_ms, space=str(space_id)),
                    ("delete_invites", (space_id,)),
                    ("delete_members", (space_id,)),
                ],
                why=lambda: self._why_not(user_id, space_id, "delete_space"),
                result={"space_id": str(space_id)},
            )
        )

    async def get(self, user_id: int, space_id: int) -> bytes:
        """Return a space with its settings and what the user is in it, as JSON.

        Raises:
            NotFound: There is no such space for this user.
        """
        found = await self._tables.text("space", space_id, user_id)
        if found == b"null":
            raise NotFound(f"there is no space {space_id}", what="space")
        return found

    async def page(self, user_id: int, *, after: int, limit: int) -> bytes:
        """Return the spaces that the user is in, by their ids, as JSON, without emoji and stickers."""
        return await self._tables.text("spaces", user_id, after, self._limits.page_count(limit))

    async def why_no_more(self, user_id: int) -> None:
        """Raise if the user is in as many spaces as one may be.

        Raises:
            LimitReached: They are.
        """
        most = self._limits.max_spaces_per_user
        row = await self._tables.one("space_count", user_id)
        if row is not None and row[0] >= most:
            raise LimitReached(f"a user may be in {most} spaces", limit=most)

    async def _why_not(self, user_id: int, space_id: int, deed: Deed) -> None:
        standing = await standing_in(self._tables, user_id, space_id)
        standing.require_group()
        standing.require(deed)

    async def _why_not_updated(self, user_id: int, space_id: int, changed: str, version: int | None) -> None:
        await self._why_not(user_id, space_id, "update_space")
        row = await self._tables.one("space_settings", space_id, user_id, changed)
        if row is None:
            raise NotFound(f"there is no space {space_id}", what="space")
        current, settings, size, updated_at_ms = row
        if version is not None and version != current:
            raise VersionConflict(
                f"the settings have the version {current} by now, not {version}",
                current={
                    "version": current,
                    "settings": msgspec.json.decode(settings),
                    "updated_at_ms": updated_at_ms,
                },
            )
        if size > self._limits.max_settings_bytes:
            raise InvalidValue(
                f"the settings would have {size} bytes; at most {self._limits.max_settings_bytes} are allowed",
                field="fields",
            )


def new_epoch() -> str:
    """Return what tells a stream from another one with the same id."""
    return secrets.token_hex(8)

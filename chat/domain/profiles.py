"""Profiles and pictures of users.

A change is told in the user's own stream and nowhere else, so that it costs the same with one space and with a thousand.
Those who share a space with the user ask for what changed since they last asked: one question, for all of them.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio
import msgspec

from chat.domain.acting import USER, Act, told
from chat.domain.profile_fields import checked_change
from chat.domain.refusals import InvalidValue, NotFound, TooOften, VersionConflict
from chat.domain.texts import check_text
from chat.domain.users import MAX_NAME_CHARACTERS
from storage import Earlier
from workers import PoolSaturated, TaskTimedOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chat.domain.acting import Acting
    from chat.domain.limits import ChatLimits
    from chat.domain.profile_fields import ProfileChange
    from chat.domain.sessions import Session
    from chat.domain.tables import Tables
    from workers import Bridges

AVATAR_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")

_CHANGED: Final = "user.changed"
_HEAD_BYTES: Final = 4_096
"""As much of an image as says what it is."""
_DETECTION_TIMEOUT_S: Final = 10.0
_RETRY_AFTER_S: Final = 2.0


class Avatar(NamedTuple):
    """A user's picture."""

    type: str
    hash: bytes
    image: bytes | None
    """None if it is the one that is known."""


class Profiles:
    """Reads and changes what users say of themselves."""

    def __init__(self, tables: Tables, acting: Acting, limits: ChatLimits, bridges: Bridges) -> None:
        self._tables = tables
        self._acting = acting
        self._limits = limits
        self._bridges = bridges

    async def me(self, session: Session) -> bytes:
        """Return what the user has to know of themselves, as JSON."""
        return await self._tables.text("me", session.user_id, session.device_id)

    async def get(self, user_id: int, other_id: int) -> bytes:
        """Return the profile of a user who shares a space with `user_id`, as JSON.

        Raises:
            NotFound: There is no such user for this one.
        """
        found = await self._tables.text("profile", other_id, user_id)
        if found == b"null":
            raise NotFound(f"there is no user {other_id} in your spaces", what="user")
        return found

    async def named(self, name: str) -> bytes:
        """Return the user of this name, or none, as JSON: as much as one needs to write to them.

        Raises:
            InvalidValue: It can be no name.
        """
        check_text(name, "name", MAX_NAME_CHARACTERS)
        return await self._tables.text("user_card", name, name.lower())

    async def changed(self, user_id: int, *, after: int, limit: int) -> bytes:
        """Return those in the user's spaces whose profile or picture changed after a position, as JSON.

        The answer says the position to ask for the next time.
        """
        return await self._tables.text("changed_profiles", user_id, after, self._limits.page_count(limit))

    async def update(
        self, user_id: int, client_id: str, fields: Mapping[str, str | None], *, version: int | None = None
    ) -> dict[str, Any]:
        """Merge fields into the user's profile; with `version`, only if nobody changed it since that one.

        `display_name` is one of them; a field that is None is taken away.

        Raises:
            ChatRefusal: As `Acting.perform`: InvalidValue, VersionConflict with the profile as it is.
        """
        change = checked_change(fields)
        now_ms, most = self._acting.now_ms(), self._limits.max_settings_bytes
        answer = await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="update-profile",
                payload=[dict(fields), version],
                changes=[
                    ("update_profile", (USER, version, change.display_name, change.fields, most)),
                    told(Earlier(1, "id"), _CHANGED, user_id, now_ms, user=str(user_id)),
                    ("note_number", (user_id, client_id, "version", Earlier(1, "profile_version"))),
                ],
                why=lambda: self._why_not(user_id, change, version),
                notes=True,
            )
        )
        if "version" in answer:
            return answer
        return {**answer, "version": (await self._present(user_id, change))[0]}  # it was so already

    async def set_avatar(self, user_id: int, client_id: str, image: bytes) -> dict[str, Any]:
        """Give the user another picture.

        Raises:
            ChatRefusal: As `Acting.perform`: InvalidValue for what is too large or no picture that browsers show.
        """
        most = self._limits.max_avatar_bytes
        if not 0 < len(image) <= most:
            raise InvalidValue(f"the picture has {len(image)} bytes; 1 to {most} are allowed", field="avatar")
        digest = sha256(image).digest()
        kind = await self._type_of(image)
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="set-avatar",
                payload=[digest.hex()],
                changes=[
                    ("set_avatar", (USER, kind, digest, image, now_ms)),
                    told(Earlier(1, "user_id"), _CHANGED, user_id, now_ms, user=str(user_id)),
                ],
                why=_as_wanted,
                result={"avatar": digest.hex()},
            )
        )

    async def delete_avatar(self, user_id: int, client_id: str) -> dict[str, Any]:
        """Take the user's picture away; who has none is answered the same.

        Raises:
            ChatRefusal: As `Acting.perform`.
        """
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="delete-avatar",
                payload=[],
                changes=[
                    ("delete_avatar", (USER,)),
                    told(Earlier(1, "user_id"), _CHANGED, user_id, now_ms, user=str(user_id)),
                ],
                why=_as_wanted,
            )
        )

    async def avatar(self, user_id: int, other_id: int, *, known: bytes | None = None) -> Avatar:
        """Return the picture of a user who shares a space with `user_id`, without the image if its hash is `known`.

        Raises:
            NotFound: There is no such user for this one, or no picture of them.
        """
        row = await self._tables.one("avatar", other_id, user_id, known)
        if row is None:
            raise NotFound(f"there is no picture of a user {other_id} in your spaces", what="avatar")
        return Avatar(*row)

    async def _type_of(self, image: bytes) -> str:
        """Return what the picture is by its content.

        Raises:
            InvalidValue: None of `AVATAR_TYPES`.
            TooOften: Too many are being looked at.
        """
        try:
            async with anyio.TemporaryDirectory(prefix="dataserver-avatar-") as folder:
                await anyio.Path(folder, "image").write_bytes(image[:_HEAD_BYTES])
                found = await self._bridges.files.detect("image", root=folder, timeout_s=_DETECTION_TIMEOUT_S)
        except (PoolSaturated, TaskTimedOut) as error:
            raise TooOften("too many pictures are being looked at", retry_after_s=_RETRY_AFTER_S) from error
        if found.mime not in AVATAR_TYPES:
            raise InvalidValue(
                f"the picture is {found.mime}; {', '.join(AVATAR_TYPES)} are allowed", field="avatar"
            )
        return found.mime

    async def _present(self, user_id: int, change: ProfileChange) -> tuple[Any, ...]:
        row = await self._tables.one("profile_fields", user_id, change.display_name, change.fields)
        if row is None:
            raise NotFound(f"there is no user {user_id}", what="user")
        return row

    async def _why_not(self, user_id: int, change: ProfileChange, version: int | None) -> None:
        current, display_name, fields, size, changes = await self._present(user_id, change)
        if not changes:
            return
        if version is not None and version != current:
            raise VersionConflict(
                f"the profile has the version {current} by now, not {version}",
                current={
                    "version": current,
                    "display_name": display_name,
                    "fields": msgspec.json.decode(fields),
                },
            )
        most = self._limits.max_settings_bytes
        if size > most:
            raise InvalidValue(
                f"the profile would have {size} bytes; at most {most} are allowed", field="fields"
            )


async def _as_wanted() -> None:
    """Nothing changed, so it is as it is wanted already."""

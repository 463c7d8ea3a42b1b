"""The keys of spaces as a user's devices hand them to each other: opaque texts, each with a version.

Versions rise over all keys of a user, so a device asks for those above the last one it has seen, and whoever changed
some sends those alone: one statement, however many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.domain.acting import USER, Act
from chat.domain.ids import maybe_number
from chat.domain.refusals import InvalidValue, NotFound
from storage import Earlier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chat.domain.acting import Acting
    from chat.domain.tables import Tables

MAX_BLOB_CHARACTERS: Final = 8_192
MAX_KEY_COUNT: Final = 2_000
"""In one call."""
PAGE_COUNT: Final = 500
KIND: Final = "sync-space-keys"


class SpaceKeys:
    """Keeps the space keys of users."""

    def __init__(self, tables: Tables, acting: Acting) -> None:
        self._tables = tables
        self._acting = acting

    async def changed_since(self, user_id: int, version: int) -> bytes:
        """Return the keys above `version` as JSON, the oldest first, at most `PAGE_COUNT`."""
        return await self._tables.text("space_keys", user_id, version, PAGE_COUNT)

    async def put(self, user_id: int, client_id: str, keys: Mapping[str, str]) -> dict[str, Any]:
        """Store the keys that changed, by space; those of spaces that the user has left are left out.

        Raises:
            ChatRefusal: As `Acting.perform`: InvalidValue; NotFound if the user is in none of the spaces.
        """
        if len(keys) > MAX_KEY_COUNT:
            raise InvalidValue(f"{len(keys)} keys; at most {MAX_KEY_COUNT} are allowed", field="keys")
        for space, blob in keys.items():
            if maybe_number(space) is None:
                raise InvalidValue(f"{space[:64]!r} is no id of a space", field="keys")
            if len(blob) > MAX_BLOB_CHARACTERS:
                raise InvalidValue(
                    f"the key of the space {space} has {len(blob)} characters; "
                    f"at most {MAX_BLOB_CHARACTERS} are allowed",
                    field="keys",
                )
        now_ms = self._acting.now_ms()
        text = msgspec.json.encode(keys, order="deterministic").decode()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind=KIND,
                payload=keys,
                changes=[
                    ("put_space_keys", (USER, text, now_ms)),
                    ("tell", (Earlier(1, "user_id"), "space_keys.changed", user_id, None, None, now_ms)),
                ],
                why=lambda: self._why_none(user_id, text),
            )
        )

    async def _why_none(self, user_id: int, keys: str) -> None:
        if keys != "{}" and await self._tables.one("is_in_one_of", user_id, keys) is None:
            raise NotFound("you are in none of these spaces", what="space")

"""The public keys by which the server knows what a user's devices have signed."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from chat.domain.acting import USER, Act
from chat.domain.refusals import InvalidValue, LimitReached, NotFound
from chat.sync.sealing import as_text
from storage import Earlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.tables import Step, Tables

KEY_BYTES: Final = {"ed448": 57, "ed25519": 32}
MAX_KEY_COUNT: Final = 20
"""Of one user."""


class SigningKeys:
    """Knows each user's public keys."""

    def __init__(self, tables: Tables, acting: Acting) -> None:
        self._tables = tables
        self._acting = acting

    async def register(
        self, user_id: int, client_id: str, *, algorithm: str, public_key: str
    ) -> dict[str, Any]:
        """Accept what is signed with a key from now on; one that is registered already is answered the same.

        Raises:
            ChatRefusal: As `Acting.perform`: InvalidValue, LimitReached.
        """
        public = as_bytes(public_key, "public_key")
        if KEY_BYTES.get(algorithm) != len(public):
            raise InvalidValue(f"{len(public)} bytes are no public key of {algorithm!r}", field="public_key")
        text = as_text(public)
        now_ms = self._acting.now_ms()
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="register-signing-key",
                payload=[algorithm, text],
                changes=[
                    ("register_signing_key", (USER, algorithm, text, now_ms, MAX_KEY_COUNT)),
                    _told(user_id, now_ms),
                ],
                why=lambda: self._why_not_registered(user_id, text),
            )
        )

    async def unregister(self, user_id: int, client_id: str, key_id: int) -> dict[str, Any]:
        """Accept nothing any more that is signed with a key; what was saved stays.

        Raises:
            ChatRefusal: As `Acting.perform`.
        """
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind="unregister-signing-key",
                payload=[str(key_id)],
                changes=[
                    ("unregister_signing_key", (USER, key_id)),
                    _told(user_id, self._acting.now_ms()),
                ],
                why=_nothing,
            )
        )

    async def list(self, user_id: int) -> bytes:
        """Return a user's keys as JSON."""
        return await self._tables.text("signing_keys", user_id)

    async def check(self, user_id: int, algorithm: str, public_key: str) -> None:
        """Return if the key is one of the user's.

        Raises:
            NotFound: It is not.
        """
        row = await self._tables.one("signing_key", user_id, public_key)
        if row is None or row[0] != algorithm:
            raise NotFound(f"no {algorithm} key of yours is registered as this one", what="signing_key")

    async def _why_not_registered(self, user_id: int, public_key: str) -> None:
        if await self._tables.one("signing_key", user_id, public_key) is None:
            raise LimitReached(f"there are {MAX_KEY_COUNT} signing keys already", limit=MAX_KEY_COUNT)


def as_bytes(text: str, field: str) -> bytes:
    """Return the bytes that `text` has in base64.

    Raises:
        InvalidValue: It is none.
    """
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidValue(f"{field} is no base64", field=field) from error


def _told(user_id: int, now_ms: int) -> Step:
    """Return the event for the user's devices, which needs that something changed."""
    return ("tell", (Earlier(1, "user_id"), "signing_keys.changed", user_id, None, None, now_ms))


async def _nothing() -> None:
    """Nothing can stand against it."""

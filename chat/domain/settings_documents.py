"""Each user's settings: one document that only the user's devices can read, versioned, signed.

The server stores what it can't open. So it checks what it can: that the document is signed by a key of the user's, over
its account and its version too, and that it follows the version that is there. Whoever comes second is given the present
one, merges, and comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.domain.acting import USER, Act
from chat.domain.refusals import InvalidValue, VersionConflict
from chat.domain.signing_keys import as_bytes
from chat.sync.sealing import as_text, signed_bytes
from storage import Earlier
from workers import SignatureInvalid

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.signing_keys import SigningKeys
    from chat.domain.tables import Tables
    from chat.sync.sealing import SealedSettings
    from workers import Bridges

MAX_CIPHERTEXT_BYTES: Final = 2 * 1_048_576
KIND: Final = "save-user-config"


class SettingsDocuments:
    """Keeps the settings of users."""

    def __init__(self, tables: Tables, acting: Acting, keys: SigningKeys, bridges: Bridges) -> None:
        self._tables = tables
        self._acting = acting
        self._keys = keys
        self._bridges = bridges

    async def current(self, user_id: int) -> dict[str, Any] | None:
        """Return the user's settings as they were sealed, None if there are none yet."""
        row = await self._tables.one("settings", user_id)
        return None if row is None else msgspec.json.decode(row[0])

    async def save(
        self, user_id: int, client_id: str, sealed: SealedSettings, *, base_version: int
    ) -> dict[str, Any]:
        """Store the version that follows `base_version` (0: the first one), and tell the user's other devices.

        The same client id and base version is the same save, however it was encrypted this time.

        Raises:
            VersionConflict: Another version is there; `current` is it.
            ChatRefusal: As `Acting.perform`: InvalidValue (also for a signature that is wrong), NotFound for the key.
        """
        ciphertext = as_bytes(sealed.ciphertext, "ciphertext")
        if len(ciphertext) > MAX_CIPHERTEXT_BYTES:
            raise InvalidValue(
                f"the settings have {len(ciphertext)} bytes; at most {MAX_CIPHERTEXT_BYTES} are allowed",
                field="ciphertext",
            )
        if sealed.version != base_version + 1:
            raise InvalidValue(
                f"the version is {sealed.version}; {base_version + 1} follows the base", field="version"
            )
        public, signature = (
            as_bytes(sealed.public_key, "public_key"),
            as_bytes(sealed.signature, "signature"),
        )
        await self._keys.check(user_id, sealed.algorithm, as_text(public))
        message = signed_bytes(str(user_id), sealed.version, ciphertext)
        try:
            await self._bridges.crypto.verify(sealed.algorithm, public, signature, message)
        except SignatureInvalid as error:
            raise InvalidValue(
                "the signature is not one of this key over these settings", field="signature"
            ) from error
        now_ms = self._acting.now_ms()
        body = msgspec.json.encode({"version": sealed.version}).decode()
        stored = (as_text(ciphertext), sealed.algorithm, as_text(public), as_text(signature))
        return await self._acting.perform(
            Act(
                user_id=user_id,
                client_id=client_id,
                kind=KIND,
                payload=[base_version],
                changes=[
                    ("save_settings", (USER, base_version, *stored, now_ms)),
                    ("tell", (Earlier(1, "user_id"), "settings.saved", user_id, None, body, now_ms)),
                ],
                why=lambda: self._why_not(user_id, sealed, base_version, as_text(public)),
                result={"version": sealed.version},
            )
        )

    async def _why_not(self, user_id: int, sealed: SealedSettings, base_version: int, public: str) -> None:
        await self._keys.check(user_id, sealed.algorithm, public)
        current = await self.current(user_id)
        version = 0 if current is None else current["version"]
        if version != base_version:
            raise VersionConflict(
                f"the settings have the version {version} by now, not {base_version}", current=current
            )

"""Settings as they leave the device: encrypted for the user alone, and signed, so that the server can't change them.

Made by the crypto bridge, off the event loop. The private key stays in this process: a worker gets the subkey of one
session of the derived key, a process in memory that is overwritten afterwards, and signing is done in a thread here.
What is signed names the account and the version too, so an old document can't be passed off as the newest one.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from chat.errors import ChatError
from chat.sync import document
from chat.sync.derivation import settings_key
from workers import DecryptError, SignatureInvalid, keyring_of, row_context

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from chat.sync.document import SettingsDocument
    from workers import CryptoBridge, SigningKey

Algorithm = Literal["ed448", "ed25519"]
_SIGNED: Final = "chat.settings/1 signed"
_SEALED: Final = "chat.settings/1 sealed"


class SettingsForged(ChatError):
    """The settings that came are not what a device of this user has signed, or don't open; they were not used."""


class SealedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that only their user can read."""

    version: int
    ciphertext: str
    """Base64."""
    algorithm: Algorithm
    public_key: str
    """Base64; of the key that signed."""
    signature: str
    """Base64; over `signed_bytes`."""


def signed_bytes(account: str, version: int, ciphertext: bytes) -> bytes:
    """Return the canonical bytes under the signature: no two triples give the same."""
    return row_context(_SIGNED, account, version, ciphertext)


class SettingsSeal:
    """Seals and opens the settings of one account; a context that wipes the derived key on leaving."""

    def __init__(self, crypto: CryptoBridge, account: str, signing_key: SigningKey) -> None:
        self._crypto = crypto
        self._account = account
        self._signing_key = signing_key
        with settings_key(signing_key) as key:
            self._keyring = keyring_of(key, "settings")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keyring.close()

    @property
    def algorithm(self) -> Algorithm:
        """How it signs."""
        return self._signing_key.algorithm

    @property
    def public_key(self) -> bytes:
        """What its signatures are verified by."""
        return self._signing_key.public

    async def sealed(self, settings: SettingsDocument, version: int) -> SealedSettings:
        """Return `settings` sealed and signed as `version`.

        Raises:
            InvalidSettings: They are too large.
            WorkersError: Neither a worker nor this process did it.
        """
        body = document.written(settings)
        ciphertext = bytes(await self._crypto.encrypt(self._keyring, body, context=self._context()))
        signature = await self._crypto.sign(
            self._signing_key, signed_bytes(self._account, version, ciphertext)
        )
        return SealedSettings(
            version=version,
            ciphertext=as_text(ciphertext),
            algorithm=self._signing_key.algorithm,
            public_key=as_text(self._signing_key.public),
            signature=as_text(signature),
        )

    async def opened(self, sealed: SealedSettings) -> SettingsDocument:
        """Return the settings in `sealed`, if a device with this key has made them.

        Raises:
            SettingsForged: None has.
            SettingsTooNew, InvalidSettings: It can't be read here.
        """
        try:
            ciphertext = b64decode(sealed.ciphertext, validate=True)
            signature = b64decode(sealed.signature, validate=True)
            message = signed_bytes(self._account, sealed.version, ciphertext)
            await self._crypto.verify(
                self._signing_key.algorithm, self._signing_key.public, signature, message
            )
            body = await self._crypto.decrypt(self._keyring, ciphertext, context=self._context())
        except (SignatureInvalid, DecryptError, ValueError) as error:
            raise SettingsForged("the settings are not signed by this user, or don't open") from error
        return document.read(bytes(body))

    def _context(self) -> bytes:
        return row_context(_SEALED, self._account)


def as_text(data: bytes) -> str:
    """Return `data` in base64."""
    return b64encode(data).decode()

"""The stored keyring: data keys wrapped by the key-encryption key, and a code over all of it.

Data keys are wrapped with AES-256-SIV (RFC 5297), which was made for wrapping keys and needs no nonce. Neither it nor
AES-GCM commits to its key, so the document carries a check value of the key-encryption key (a wrong passphrase is told
from damage), and an HMAC-SHA-256 over everything else: who can write the file but has not the key can't make an old
key primary again, or a retired one open. An older whole document is a valid one; a keyring does not see that.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workers.keys.errors import KeyringDamaged
from workers.keys.rotation import StoredKey, primary_of
from workers.keys.secrets import Secret
from workers.keys.sources import Hardening

FORM: Final = 1
MAX_DOCUMENT_BYTES: Final = 1024 * 1024
MAX_KEYS_COUNT: Final = 1_000

_CHECK_BYTES = 16
_SIV_KEY_BYTES = 64
_MAC_KEY_BYTES = 32
_SIV_TAG_BYTES = 16
_INFO = b"workers.keys/1 keyring "


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A keyring as it is stored, JSON."""

    form: int = FORM
    name: str
    """What the keyring is for; a wrapped key does not open in a keyring of another name."""
    hardening: Hardening
    keys: tuple[StoredKey, ...] = ()
    check: bytes = b""
    mac: bytes = b""


class Wrapping:
    """The key-encryption key at work: wraps, unwraps and vouches; wipe it after use."""

    def __init__(self, key: Secret, hardening: Hardening, name: str) -> None:
        self._keys = Secret.of_length(_SIV_KEY_BYTES + _MAC_KEY_BYTES + _CHECK_BYTES)
        self._name = name.encode()
        HKDF(
            SHA512(), len(self._keys), salt=hardening.salt, info=_INFO + self._name
        ).derive_into(key.buffer, self._keys.buffer)  # fmt: skip
        self.check = bytes(self._keys.buffer[_SIV_KEY_BYTES + _MAC_KEY_BYTES :])

    def wrapped(self, key_id: str, key: Secret) -> bytes:
        """Return `key` sealed under its id."""
        return self._cipher().encrypt(key.buffer, [self._name, key_id.encode()])

    def unwrapped(self, key_id: str, wrapped: bytes) -> Secret:
        """Return the key that was wrapped under `key_id`.

        Raises:
            KeyringDamaged: It does not open.
        """
        if len(wrapped) <= _SIV_TAG_BYTES:
            raise KeyringDamaged(f"the key {key_id} is damaged")
        key = Secret.of_length(len(wrapped) - _SIV_TAG_BYTES)
        try:
            self._cipher().decrypt_into(wrapped, [self._name, key_id.encode()], key.buffer)
        except InvalidTag:
            key.wipe()
            raise KeyringDamaged(f"the key {key_id} is damaged") from None
        return key

    def signed(self, document: Document) -> Document:
        """Return `document` with its check value and its code."""
        return msgspec.structs.replace(document, check=self.check, mac=self._mac(document))

    def verify(self, document: Document) -> None:
        """Return if `document` was signed with this key.

        Raises:
            KeyringDamaged: It was signed with another one, or changed afterwards.
        """
        if not hmac.compare_digest(document.check, self.check):
            raise KeyringDamaged("the keyring was made with another key-encryption key or passphrase")
        if not hmac.compare_digest(document.mac, self._mac(document)):
            raise KeyringDamaged("the keyring was changed by somebody who has not its key")

    def wipe(self) -> None:
        """Overwrite the keys."""
        self._keys.wipe()

    def _cipher(self) -> AESSIV:
        return AESSIV(memoryview(self._keys.buffer)[:_SIV_KEY_BYTES])

    def _mac(self, document: Document) -> bytes:
        key = self._keys.buffer[_SIV_KEY_BYTES : _SIV_KEY_BYTES + _MAC_KEY_BYTES]
        told = msgspec.json.encode(msgspec.structs.replace(document, check=b"", mac=b""))
        try:
            return hmac.new(key, told, hashlib.sha256).digest()
        finally:
            key[:] = bytes(len(key))


def encoded(document: Document) -> bytes:
    """Return what is stored."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decoded(data: bytes) -> Document:
    """Return the document that `data` holds; `Wrapping.verify` says whether it is genuine.

    Raises:
        KeyringDamaged: It is no keyring, or one of a later release.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise KeyringDamaged(f"a keyring has at most {MAX_DOCUMENT_BYTES} bytes")
    try:
        document = msgspec.json.decode(data, type=Document)
    except msgspec.MsgspecError as error:
        raise KeyringDamaged("this is no keyring of ours") from error
    if document.form != FORM:
        raise KeyringDamaged(f"the keyring has form {document.form}; this release knows {FORM}")
    if len(document.keys) > MAX_KEYS_COUNT or primary_of(document.keys) is None:
        raise KeyringDamaged(f"a keyring has a primary key and at most {MAX_KEYS_COUNT}")
    return document

"""The key that settings are sealed with, made from the user's own private key, so that every device that has that has it.

The label names the version of this scheme: another scheme gets another label, and thereby another key.
"""

from __future__ import annotations

from hashlib import sha512
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workers import Secret

if TYPE_CHECKING:
    from workers import SigningKey

SETTINGS_LABEL: Final = b"chat.settings/1"
_KEY_BYTES: Final = 32


def settings_key(signing_key: SigningKey) -> Secret:
    """Return the key for settings: HKDF, under the label, of the first half of the private key's SHA-512.

    The private key is wiped before this returns; the caller wipes the answer.
    """
    with signing_key.exported() as private, Secret(sha512(private.buffer).digest()[:_KEY_BYTES]) as root:
        key = Secret.of_length(_KEY_BYTES)
        HKDF(SHA512(), _KEY_BYTES, salt=None, info=SETTINGS_LABEL).derive_into(root.buffer, key.buffer)
        return key

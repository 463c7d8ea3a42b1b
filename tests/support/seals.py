"""A small real seal: AES-256-GCM with keys that a test adds and takes away."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chat.queue.sealing import CannotOpen, CannotSeal

_NONCE_BYTES = 12


class KeysSeal:
    """Seals with the newest of its keys; the key's id and the row are authenticated with the body."""

    def __init__(self, *key_ids: str) -> None:
        self._keys: dict[str, AESGCM] = {}
        self._away: dict[str, AESGCM] = {}
        for key_id in key_ids:
            self.add(key_id)

    def add(self, key_id: str) -> None:
        """Make a key, which is the present one from now on."""
        self._keys[key_id] = AESGCM(AESGCM.generate_key(bit_length=256))

    def take_away(self, key_id: str) -> None:
        self._away[key_id] = self._keys.pop(key_id)

    def bring_back(self, key_id: str) -> None:
        """Have a key again, as an older one."""
        self._keys = {key_id: self._away.pop(key_id), **self._keys}

    @property
    def key_id(self) -> str | None:
        return next(reversed(self._keys), "none")

    def seal(self, body: bytes, context: bytes) -> tuple[str | None, bytes]:
        if not self._keys:
            raise CannotSeal("there is no key")
        key_id, nonce = self.key_id or "", os.urandom(_NONCE_BYTES)
        return key_id, nonce + self._keys[key_id].encrypt(nonce, body, _authenticated(key_id, context))

    def open(self, key_id: str | None, sealed: bytes, context: bytes) -> bytes:
        key = self._keys.get(key_id or "")
        if key is None:
            raise CannotOpen(f"the key {key_id} is not there")
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return key.decrypt(nonce, rest, _authenticated(key_id or "", context))
        except InvalidTag as error:
            raise CannotOpen(f"it was not sealed so with {key_id}") from error


def _authenticated(key_id: str, context: bytes) -> bytes:
    return key_id.encode() + b"\0" + context

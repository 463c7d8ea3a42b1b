"""A keyring of one key that its owner has from elsewhere and stores elsewhere: nothing of it is on a disk.

It seals and opens as any other. What changes a keyring is refused, as there is nowhere to store the change.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workers.clock import SystemClock
from workers.keys.envelopes import KEY_BYTES, KEY_ID_BYTES
from workers.keys.errors import KeyNotUsable
from workers.keys.keyring import Keyring
from workers.keys.sealer import Sealer
from workers.keys.secrets import Secret
from workers.keys.stored_keys import Loaded, StoredKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.keys.sources import Hardening

_ID_LABEL: Final = b"workers.keys/1 id of a given key"


def keyring_of(key: Secret, name: str = "") -> Keyring:
    """Return a keyring that seals and opens with a copy of `key`; close it to wipe the copy.

    The same key has the same id everywhere, so what one holder seals opens for every other.

    Raises:
        ValueError: The key has not 32 bytes.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes; {KEY_BYTES} are needed")
    key_id = HKDF(SHA512(), KEY_ID_BYTES, salt=None, info=_ID_LABEL).derive(key.buffer).hex()
    loaded = Loaded(name, {key_id: "primary"}, key_id, {key_id: Secret(key.buffer)})
    nowhere = _Nowhere()
    return Keyring(StoredKeys(nowhere, nowhere, SystemClock()), loaded, Sealer())


class _Nowhere:
    """Stands where other keyrings have a file and a source."""

    def read(self) -> NoReturn:
        raise self._refusal()

    def write(self, data: bytes) -> NoReturn:
        del data
        raise self._refusal()

    def key(self, hardening: Hardening) -> NoReturn:
        del hardening
        raise self._refusal()

    @contextmanager
    def changing(self) -> Iterator[None]:
        raise self._refusal()
        yield

    @staticmethod
    def _refusal() -> KeyNotUsable:
        return KeyNotUsable(
            "this keyring holds one given key and is stored nowhere", key_id="", state="primary"
        )

"""Signing keys: they stay in the process that made or loaded them, and sign there.

A bridge may use a key from one of its threads: it hands over a number, and `held` finds the key behind it, in this
process alone. In another process there is no such key, whatever is sent there.

Ed448 takes some 0.4 ms to sign and to be loaded, 0.25 ms to verify, Ed25519 a quarter of that to sign (2026-11, one
core): making a signature is shorter than many a hop, so a process of its own is for isolation, never for speed.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Literal, NoReturn
from weakref import WeakValueDictionary

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typing_extensions import override

from workers.keys.secrets import Secret

if TYPE_CHECKING:
    from cryptography.utils import Buffer

Signature = Literal["ed448", "ed25519"]

_PRIVATE: dict[Signature, type[Ed448PrivateKey | Ed25519PrivateKey]] = {
    "ed448": Ed448PrivateKey,
    "ed25519": Ed25519PrivateKey,
}
_PUBLIC: dict[Signature, type[Ed448PublicKey | Ed25519PublicKey]] = {
    "ed448": Ed448PublicKey,
    "ed25519": Ed25519PublicKey,
}
_numbers = count(1)


class SigningKey:
    """A private key of Ed448 or Ed25519, which nothing shows."""

    def __init__(self, algorithm: Signature, secret: Secret) -> None:
        """Take the raw private key (57 bytes of Ed448, 32 of Ed25519); the caller wipes `secret`.

        Raises:
            ValueError: It has another length.
        """
        self.algorithm: Signature = algorithm
        self._key = _PRIVATE[algorithm].from_private_bytes(secret.buffer)
        self.public = self._key.public_key().public_bytes_raw()
        """The raw public key."""
        self.number = next(_numbers)
        """What `held` knows it by, in this process."""
        _held[self.number] = self

    @classmethod
    def generate(cls, algorithm: Signature = "ed448") -> SigningKey:
        """Return a fresh key."""
        with Secret(_PRIVATE[algorithm].generate().private_bytes_raw()) as secret:
            return cls(algorithm, secret)

    def sign(self, message: Buffer) -> bytes:
        """Return the signature (114 bytes of Ed448, 64 of Ed25519), made without a context."""
        return self._key.sign(message)

    def exported(self) -> Secret:
        """Return the raw private key, to be sealed by a keyring; wipe it after use."""
        return Secret(self._key.private_bytes_raw())

    @override
    def __repr__(self) -> str:
        return f"<signing key, {self.algorithm}, public {self.public.hex()[:16]}>"

    @override
    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("a signing key is neither pickled nor copied")


_held: WeakValueDictionary[int, SigningKey] = WeakValueDictionary()


def held(number: int) -> SigningKey | None:
    """Return the signing key of this process that has this number, if somebody still holds it."""
    return _held.get(number)


def is_genuine(algorithm: Signature, public: Buffer, signature: Buffer, message: Buffer) -> bool:
    """Tell whether `signature` is that of the key `public` over `message`; a malformed one is not."""
    try:
        _PUBLIC[algorithm].from_public_bytes(bytes(public)).verify(bytes(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True

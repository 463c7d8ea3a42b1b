"""What the crypto service refuses; each reaches the caller as the same type.

CryptoError
├── SignatureInvalid     another message, another key, or a signature that was changed
├── KeyNotHere           the key belongs to another process, or was wiped
└── FileRefused          a file can't be read or written
"""

from __future__ import annotations

from workers.errors import PortableError


class CryptoError(PortableError):
    """The root of what the crypto service refuses; `DecryptError` stands beside it."""


class SignatureInvalid(CryptoError):
    """The signature is not one of this key over this message; take the message for forged."""


class KeyNotHere(CryptoError):
    """A signing key belongs to another process or nobody holds it any more, or a task's key was wiped with the task."""


class FileRefused(CryptoError):
    """A file can't be read or written; what was at the target before is still there."""

"""What the self-test has each kind of worker do: small things with known answers."""

from __future__ import annotations

import hashlib
import os

from workers.errors import PortableError
from workers.methods import MethodService, Task, method

_ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
_KEY, _NONCE, _PLAIN = bytes(32), bytes(12), bytes(16)
_SEALED = bytes.fromhex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
"""AES-256-GCM of 16 zero bytes under zero key and nonce: case 14 of McGrew and Viega's specification of GCM."""


class TrialFailed(PortableError):
    """A known answer did not come."""


class TrialUnavailable(PortableError):
    """This worker lacks what the trial needs."""


class TrialService(MethodService):
    """Each method is one trial; it returns what it found, in words."""

    @method()
    def ping(self, params: int, task: Task) -> str:  # noqa: ARG002 - every method gets one
        """Answer."""
        return f"pid {os.getpid()}, {params}"

    @method()
    def hash(self, params: None, task: Task) -> str:  # noqa: ARG002
        """Hash a text whose sum is known."""
        _check(hashlib.sha256(b"abc").hexdigest() == _ABC_SHA256, "SHA-256 gives another sum")
        return "SHA-256"

    @method()
    def aes_gcm(self, params: None, task: Task) -> str:  # noqa: ARG002
        """Encrypt to a known ciphertext, decrypt it, and have a forged one refused."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - one trial needs it, the others not
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        cipher = AESGCM(_KEY)
        _check(cipher.encrypt(_NONCE, _PLAIN, None) == _SEALED, "AES-256-GCM gives another ciphertext")
        _check(cipher.decrypt(_NONCE, _SEALED, None) == _PLAIN, "AES-256-GCM gives another plaintext")
        try:
            cipher.decrypt(_NONCE, _SEALED[:-1] + b"\x00", None)
        except InvalidTag:
            return "AES-256-GCM"
        raise TrialFailed("AES-256-GCM takes a forged ciphertext")

    @method()
    def ed448(self, params: None, task: Task) -> str:  # noqa: ARG002
        """Sign, verify, and have a signature of something else refused."""
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey  # noqa: PLC0415

        try:
            key = Ed448PrivateKey.generate()
        except UnsupportedAlgorithm:
            raise TrialUnavailable("the cryptography library lacks Ed448") from None
        signature = key.sign(b"this")
        key.public_key().verify(signature, b"this")
        try:
            key.public_key().verify(signature, b"that")
        except InvalidSignature:
            return "Ed448"
        raise TrialFailed("Ed448 takes a forged signature")

    @method()
    def memfd(self, params: None, task: Task) -> str:  # noqa: ARG002
        """Write to a file in memory and read it again."""
        if not hasattr(os, "memfd_create"):
            raise TrialUnavailable("no files in memory here; unlinked temporary ones are used")
        fd = os.memfd_create("trial", os.MFD_CLOEXEC)
        try:
            os.pwrite(fd, b"abc", 1)
            _check(os.pread(fd, 9, 0) == b"\x00abc", "a file in memory holds something else")
        finally:
            os.close(fd)
        return "memfd"

    @method()
    def shared(self, params: None, task: Task) -> str:  # noqa: ARG002
        """Add to a counter that the caller made."""
        from workers.shared.counter import SharedCounter  # noqa: PLC0415 - one trial needs it, the others not

        with SharedCounter.from_buffer(task.buffers[0]) as counter:
            counter.add(1)
            return counter.backing


def _check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise TrialFailed(otherwise)

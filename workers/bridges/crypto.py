"""The crypto bridge: encryption with a keyring, hashes, derived keys and signatures, off the event loop.

Where it runs was measured (`tests/benchmarks/test_crypto.py`; 2026-11, two busy cores, medians in microseconds): small
inputs on the loop, since a hop costs more than they take; from the bounds in `placements` on in a thread, since the
library's C code leaves the interpreter to others. A process never wins, as copying costs more than AES, and is there
for who wants the work apart (`BridgeSettings.kind`).

    | | on the loop | thread | process |
    |---|---|---|---|
    | encrypt 1 KiB; 64 KiB; 1 MiB; 16 MiB | 8; 18; 280; 37k | 320; 1.6k; 1.6k; 51k | 620; 5k; 9k; 137k |
    | decrypt 1 KiB; 64 KiB; 1 MiB; 16 MiB | 10; 18; 170; 30k | 450; 370; 1.7k; 64k | 1.2k; 1.1k; 3.9k; 175k |
    | SHA-256 64 KiB; 1 MiB; 16 MiB | 210; 1.8k; 65k | 240; 5.6k; 67k | 420; 12k; 143k |
    | BLAKE3 64 KiB; 1 MiB; 16 MiB | 130; 370; 20k | 340; 430; 19k | 350; 8k; 73k |
    | sign, verify (Ed448) 16 messages | 25k, 17k | 31k, 19k | (thread), 31k |

Whatever the kind, data keys and private keys stay in this process. A worker process gets the subkey of one session in
a memfd that is overwritten when the task is over; deriving keys and signing is not done in worker processes at all.
A request to encrypt that a worker left unanswered is done again under another session, never with the same nonce.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import anyio.to_thread

from workers.bridges.crypto_files import FileSealingBridge
from workers.bridges.settings import Placement
from workers.keys.secrets import Secret
from workers.keys.signing import SigningKey
from workers.services.batches import flat, grouped, joined, lengths_of, picked
from workers.services.crypto import service
from workers.services.crypto.digests import digest
from workers.services.crypto.errors import SignatureInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.buffers import Bytes, Input
    from workers.keys.signing import Signature
    from workers.requests import OnProgress
    from workers.services.crypto.derivation import Derivation
    from workers.services.crypto.digests import Digest

_SIGN_BYTES = 40_000
"""What a signature counts for beside its message: so many bytes of hashing take as long."""


class CryptoBridge(FileSealingBridge):
    """Encrypts, hashes, derives keys, signs and verifies; had as `bridges.crypto`."""

    name = "crypto"
    service = "workers.services.crypto.service:CryptoService"
    placements = MappingProxyType(
        {
            "hash": Placement(thread_from_bytes=64 * 1024),
            "seal": Placement(thread_from_bytes=1024 * 1024),
            "open": Placement(thread_from_bytes=1024 * 1024),
            "sign": Placement(thread_from_bytes=2 * _SIGN_BYTES),
            "verify": Placement(thread_from_bytes=2 * _SIGN_BYTES),
        }
    )

    async def hash(
        self,
        data: Bytes,
        algorithm: Digest = "sha256",
        *,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> bytes:
        """Return the digest of `data`: SHA-256, SHA-512 or BLAKE3 (five times as fast as SHA-256)."""
        data = flat(data)
        if self._is_here("hash", len(data)):
            return digest(data, algorithm)
        params = service.HashParams(algorithm=algorithm, lengths=(len(data),))
        digests = await self._request(
            "hash", params, list[bytes], buffers=[data], timeout_s=timeout_s, on_progress=on_progress
        )
        return digests[0]

    async def hash_many(
        self, items: Sequence[Bytes], algorithm: Digest = "sha256", *, timeout_s: float | None = None
    ) -> list[bytes]:
        """Return the digest of each item, in order."""
        found: list[bytes] = []
        items = [flat(each) for each in items]
        for group in grouped(items):
            part = picked(items, group)
            params = service.HashParams(algorithm=algorithm, lengths=lengths_of(part))
            found += await self._request(
                "hash", params, list[bytes], buffers=[joined(part)], timeout_s=timeout_s
            )
        return found

    async def derive_key(
        self, passphrase: Secret | bytes, how: Derivation, *, length: int = 32, timeout_s: float | None = None
    ) -> Secret:
        """Return the key of `length` bytes that the passphrase gives `how` (`Argon2id`, `Scrypt`, `Pbkdf2`).

        It runs in a thread of this process, whatever the kind; wipe the key after use.
        """
        given: Input = passphrase.buffer if isinstance(passphrase, Secret) else passphrase
        params = service.DeriveParams(how=how, length=length)
        answer = await self._answer("derive", params, type(None), buffers=[given], timeout_s=timeout_s)
        with answer, answer.buffers[0].mapped() as key:
            return Secret(key)

    def generate_key(self, length: int = 32) -> Secret:
        """Return fresh random bytes; takes microseconds."""
        return Secret.random(length)

    async def generate_signing_key(self, algorithm: Signature = "ed448") -> SigningKey:
        """Return a fresh private key, which stays in this process."""
        return await anyio.to_thread.run_sync(SigningKey.generate, algorithm)

    async def sign(self, key: SigningKey, message: Bytes, *, timeout_s: float | None = None) -> bytes:
        """Return the signature of `message`, made in this process, whatever the kind."""
        return (await self.sign_many(key, [message], timeout_s=timeout_s))[0]

    async def sign_many(
        self, key: SigningKey, messages: Sequence[Bytes], *, timeout_s: float | None = None
    ) -> list[bytes]:
        """Return the signature of each message, in order."""
        made: list[bytes] = []
        messages = [flat(each) for each in messages]
        for group in grouped(messages):
            part = picked(messages, group)
            made += await self._request(
                "sign",
                service.SignParams(key=key.number, lengths=lengths_of(part)),
                list[bytes],
                buffers=[joined(part)],
                size_bytes=_SIGN_BYTES * len(part),
                timeout_s=timeout_s,
            )
        return made

    async def verify(
        self,
        algorithm: Signature,
        public: bytes,
        signature: bytes,
        message: Bytes,
        *,
        timeout_s: float | None = None,
    ) -> None:
        """Return if `signature` is that of the key `public` over `message`.

        Raises:
            SignatureInvalid: It is not.
        """
        if not (await self.verify_many(algorithm, public, [(signature, message)], timeout_s=timeout_s))[0]:
            raise SignatureInvalid("the signature is not one of this key over this message")

    async def verify_many(
        self,
        algorithm: Signature,
        public: bytes,
        items: Sequence[tuple[bytes, Bytes]],
        *,
        timeout_s: float | None = None,
    ) -> list[bool]:
        """Tell for each `(signature, message)` whether it is genuine."""
        messages = [flat(message) for _, message in items]
        told: list[bool] = []
        for group in grouped(messages):
            part = picked(messages, group)
            params = service.VerifyParams(
                algorithm=algorithm,
                public=public,
                signatures=tuple(items[index][0] for index in group),
                lengths=lengths_of(part),
            )
            told += await self._request(
                "verify",
                params,
                list[bool],
                buffers=[joined(part)],
                size_bytes=_SIGN_BYTES * len(part),
                timeout_s=timeout_s,
            )
        return told

"""The crypto service: typed methods around this package's functions; it runs in any kind of worker.

Inputs come joined in one buffer, with the length of each beside it; keys are the buffers before that. A worker has no
data key and chooses no nonce: it gets the subkey of a session and the numbers to use, and forgets both with the task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from workers.buffers import Output
from workers.keys.envelopes import KEY_BYTES, Head
from workers.keys.errors import DecryptError
from workers.keys.signing import Signature, held, is_genuine
from workers.methods import MethodService, Task, method
from workers.services.batches import parted
from workers.services.crypto.derivation import Derivation, KeyLength, derived
from workers.services.crypto.digests import Digest, digest
from workers.services.crypto.errors import KeyNotHere
from workers.services.crypto.messages import open_into, opened_length, seal_into, sealed_length
from workers.services.crypto.streams import Opener, Sealer, turn_file

MAX_BATCH_COUNT = 1_000
"""Inputs in one request; the bridge makes several of a longer batch."""

_Count = Meta(max_length=MAX_BATCH_COUNT)
Lengths = Annotated[tuple[Annotated[int, Meta(ge=0)], ...], _Count]


class HashParams(msgspec.Struct, frozen=True, kw_only=True):
    """Buffer: what is hashed."""

    algorithm: Digest
    lengths: Lengths


class SealParams(msgspec.Struct, frozen=True, kw_only=True):
    """Buffers: the subkey, and the bodies."""

    key_id: str
    session: bytes
    numbers: Annotated[tuple[int, ...], _Count]
    contexts: Annotated[tuple[bytes, ...], _Count]
    lengths: Lengths


class OpenParams(msgspec.Struct, frozen=True, kw_only=True):
    """Buffers: the subkeys one after the other, and the messages."""

    keys: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], _Count]
    """For each message, which of the subkeys is its."""
    contexts: Annotated[tuple[bytes, ...], _Count]
    lengths: Lengths


class FileParams(msgspec.Struct, frozen=True, kw_only=True):
    """A file to encrypt or decrypt; buffer: the subkey."""

    source: str
    target: str
    head: bytes
    context: bytes


class DeriveParams(msgspec.Struct, frozen=True, kw_only=True):
    """Buffer: the passphrase."""

    how: Derivation
    length: KeyLength


class SignParams(msgspec.Struct, frozen=True, kw_only=True):
    """Buffer: the messages."""

    key: int
    """The number of a signing key that this process holds."""
    lengths: Lengths


class VerifyParams(msgspec.Struct, frozen=True, kw_only=True):
    """Buffer: the messages."""

    algorithm: Signature
    public: bytes
    signatures: Annotated[tuple[bytes, ...], _Count]
    lengths: Lengths


class CryptoService(MethodService):
    """Encrypts, hashes, derives, signs and verifies."""

    @method()
    def hash(self, params: HashParams, task: Task) -> list[bytes]:
        """Return the digest of each input."""
        return [digest(data, params.algorithm, task) for data in _inputs(task, 0, params.lengths)]

    @method(idempotent=False)
    def seal(self, params: SealParams, task: Task) -> tuple[list[int], Sequence[Output]]:
        """Return the lengths of the messages, and the messages one after the other."""
        cipher = AESGCM(_key(task.buffers[0]))
        lengths = [sealed_length(length) for length in params.lengths]
        out = task.allocate(sum(lengths))
        for number, context, body, room in zip(
            params.numbers,
            params.contexts,
            _inputs(task, 1, params.lengths),
            parted(out.view, lengths),
            strict=True,
        ):
            head = Head("message", params.key_id, params.session, number)
            seal_into(room, cipher, head, body, context)
        return lengths, [out]

    seal_here = seal
    """The same, asked for in the caller's process when a worker process failed."""

    @method()
    def open(self, params: OpenParams, task: Task) -> tuple[list[bool], Sequence[Output]]:
        """Tell for each message whether it opens, and return the bodies one after the other.

        Each has the room that `opened_length` says; what does not open leaves zeros there.
        """
        ciphers = [AESGCM(_key(key)) for key in _keys(task.buffers[0])]
        rooms = [opened_length(length) for length in params.lengths]
        out = task.allocate(sum(rooms))
        opens = []
        for which, context, message, room in zip(
            params.keys,
            params.contexts,
            _inputs(task, 1, params.lengths),
            parted(out.view, rooms),
            strict=True,
        ):
            try:
                open_into(room, ciphers[which], message, context)
            except DecryptError:
                opens.append(False)
            else:
                opens.append(True)
        return opens, [out]

    @method()
    def seal_file(self, params: FileParams, task: Task) -> int:
        """Return how many bytes the encrypted file has."""
        turner = Sealer(_key(task.buffers[0]), params.head + params.context)
        return turn_file(turner, params.source, params.target, task, head=params.head)

    @method()
    def open_file(self, params: FileParams, task: Task) -> int:
        """Return how many bytes the decrypted file has."""
        turner = Opener(_key(task.buffers[0]), params.head + params.context)
        return turn_file(turner, params.source, params.target, task, skip=len(params.head))

    @method()
    def derive(self, params: DeriveParams, task: Task) -> tuple[None, Sequence[bytearray]]:
        """Return the key as a buffer, which the caller wipes."""
        return None, [derived(params.how, task.buffers[0], params.length).buffer]

    @method()
    def sign(self, params: SignParams, task: Task) -> list[bytes]:
        """Return the signature of each message.

        Raises:
            KeyNotHere: The key is one of another process.
        """
        key = held(params.key)
        if key is None:
            raise KeyNotHere("no such signing key is held by this process")
        return [key.sign(message) for message in _inputs(task, 0, params.lengths)]

    @method()
    def verify(self, params: VerifyParams, task: Task) -> list[bool]:
        """Tell for each signature whether it is genuine."""
        return [
            is_genuine(params.algorithm, params.public, signature, message)
            for signature, message in zip(params.signatures, _inputs(task, 0, params.lengths), strict=True)
        ]


def _inputs(task: Task, index: int, lengths: Sequence[int]) -> Iterator[memoryview]:
    """Yield the inputs in a buffer, looking before each whether the task is still wanted."""
    for each in parted(task.buffers[index], lengths):
        task.check()
        yield each


def _keys(joined: memoryview) -> Iterator[memoryview]:
    return parted(joined, [KEY_BYTES] * (joined.nbytes // KEY_BYTES))


def _key(key: memoryview) -> memoryview:
    """Return `key`, unless its owner, who gave the task up, has wiped it before the task began."""
    if not any(key):
        raise KeyNotHere("the key was wiped before the task began")
    return key

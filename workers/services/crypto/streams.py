"""Files and streams: Cobblestone-256 of the library `cryptography`, under a key of their own.

Cobblestone (C2SP chunked-encryption, in `cryptography` since 50.0) is a streaming AEAD that commits to its key: chunks
of 16 KiB under AES-256-GCM with counters as nonces, a key and base nonce for each message by HKDF from a random salt,
and a last chunk that tells truncation. It was chosen over age (pyrage), whose recipients and passphrases a keyring has
no use for, and over a chunk format of our own, which would have to be proven. In front of it stands the head of
`envelopes`: key id and session; the data key is never given to it, only the subkey of that session. Head and context
go into Cobblestone's context, so neither can be exchanged. What is read with `Opener` is genuine as far as it goes;
only `finish` says that it was all. So a file appears under its name when it is whole, and not before.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from workers.keys.errors import DecryptError
from workers.services.crypto.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.utils import Buffer

    from workers.methods import Task

SLICE_BYTES: Final = 256 * 1024
"""Read, turned and written at a time: some 0.1 ms."""
_ROOM_BYTES: Final = SLICE_BYTES + SLICE_BYTES // 1_024 + 16_456
_OWNER_ONLY = 0o600


class Turner(Protocol):
    """Turns a stream into another one, piece by piece."""

    def turn(self, data: Buffer) -> memoryview:
        """Return what follows from at most `SLICE_BYTES` more; valid until the next call."""

    def finish(self) -> bytes:
        """Return the rest; nothing can be turned after it."""


class Sealer:
    """Encrypts one stream."""

    def __init__(self, key: Buffer, context: bytes) -> None:
        self._encryptor = Cobblestone256Encryptor(key, context)
        self._room = memoryview(bytearray(_ROOM_BYTES))

    def turn(self, data: Buffer) -> memoryview:
        """See `Turner`."""
        return self._room[: self._encryptor.update_into(data, self._room)]

    def finish(self) -> bytes:
        """See `Turner`."""
        return self._encryptor.finalize()


class Opener:
    """Decrypts one stream.

    Raises:
        DecryptError: From any call: the key or the context is another one, or the stream was changed or cut.
    """

    def __init__(self, key: Buffer, context: bytes) -> None:
        self._decryptor = Cobblestone256Decryptor(key, context)
        self._room = memoryview(bytearray(_ROOM_BYTES))

    def turn(self, data: Buffer) -> memoryview:
        """See `Turner`."""
        try:
            return self._room[: self._decryptor.update_into(data, self._room)]
        except InvalidTag:
            raise DecryptError from None

    def finish(self) -> bytes:
        """See `Turner`."""
        try:
            return self._decryptor.finalize()
        except InvalidTag:
            raise DecryptError from None


def turn_file(
    turner: Turner, source: str, target: str, task: Task, *, head: bytes = b"", skip: int = 0
) -> int:
    """Write `head` and what `turner` makes of `source` from byte `skip` on to `target`, and return its length.

    The target is on disk and whole when this returns, readable by its owner alone; a file that was there is replaced.
    After any error it is as it was; a worker that is killed leaves a file beside it that ends in `.part`.

    Raises:
        DecryptError: The source does not open.
        FileRefused: A file can't be read or written.
        TaskCancelled: The task was stopped.
    """
    reading = opened_source(source)
    try:
        total = os.fstat(reading).st_size - skip
        with _appearing(target) as writing:
            written = _write(writing, head)
            buffer = memoryview(bytearray(SLICE_BYTES))
            done = 0
            while True:
                task.check()
                with _refused("the source can't be read"):
                    length = os.preadv(reading, [buffer], skip + done)
                if not length:
                    break
                written += _write(writing, turner.turn(buffer[:length]))
                done += length
                task.progress(done, max(total, done))
            written += _write(writing, turner.finish())
            return written
    finally:
        os.close(reading)


def opened_source(path: str) -> int:
    """Open a regular file to be read and return its descriptor, which the caller closes; a pipe is not waited for.

    Raises:
        FileRefused: It can't be read, or is no regular file.
    """
    with _refused("the source can't be read"):
        reading = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(reading).st_mode):
        os.close(reading)
        raise FileRefused("the source can't be read: it is no regular file")
    return reading


@contextmanager
def _appearing(target: str) -> Iterator[int]:
    """Give a descriptor to write to; its file takes the name `target` if all goes well, and is gone otherwise."""
    part = f"{target}.{os.urandom(6).hex()}.part"
    with _refused("the target can't be written"):
        writing = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    try:
        try:
            yield writing
            with _refused("the target can't be written"):
                os.fsync(writing)
        finally:
            os.close(writing)
        with _refused("the target can't be written"):
            os.replace(part, target)  # noqa: PTH105 - paths come as text, from another process too
            _sync_folder(target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)  # noqa: PTH108 - see above
        raise


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_CLOEXEC)  # noqa: PTH120 - see above
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(file: int, data: Buffer) -> int:
    view = memoryview(data)
    while view:
        with _refused("the target can't be written"):
            view = view[os.write(file, view) :]
    return len(data)


@contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileRefused(f"{what}: {error.strerror}") from error

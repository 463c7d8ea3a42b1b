"""The file of a keyring: replaced whole, readable by its owner alone, changed by one process at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from workers.keys.documents import MAX_DOCUMENT_BYTES
from workers.keys.errors import KeyringBusy, KeyringDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_OWNER_ONLY = 0o600


class DocumentStore(Protocol):
    """Where a keyring is stored; its methods may block."""

    def read(self) -> bytes | None:
        """Return what is stored, None if nothing is."""

    def write(self, data: bytes) -> None:
        """Store `data` instead; it is durable when this returns, and there is the old or the new, whole."""

    def changing(self) -> AbstractContextManager[None]:
        """Keep others from changing it meanwhile.

        Raises:
            KeyringBusy: Somebody else changes it just now.
        """


class KeyringFile:
    """A file in a folder that the owner can write to; a file of the same name with `.lock` stands beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes | None:
        """See `DocumentStore`."""
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_DOCUMENT_BYTES + 1)
        except FileNotFoundError:
            return None
        if len(data) > MAX_DOCUMENT_BYTES:
            raise KeyringDamaged(f"a keyring has at most {MAX_DOCUMENT_BYTES} bytes")
        return data

    def write(self, data: bytes) -> None:
        """See `DocumentStore`."""
        new = self.path.with_name(f"{self.path.name}.new")
        with suppress(FileNotFoundError):
            new.unlink()
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
        try:
            with os.fdopen(file, "wb", closefd=False) as stream:
                stream.write(data)
            os.fsync(file)
        finally:
            os.close(file)
        new.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """See `DocumentStore`."""
        lock = os.open(
            self.path.with_name(f"{self.path.name}.lock"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
            _OWNER_ONLY,
        )
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise KeyringBusy("the keyring is being changed by somebody else") from None
            yield
        finally:
            os.close(lock)

"""Keyrings without a disk, and block stores that crash."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from workers.keys.errors import KeyringBusy
from workers.keys.keyring import Keyring, create_keyring
from workers.keys.secrets import Secret
from workers.keys.sources import Hardening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.keys.nonces import BlockStore

CHEAP = Hardening(salt=bytes(16), memory_kib=64, passes=1, lanes=1)
"""Quick enough for a test, and for nothing else."""


class MemoryStore:
    """Keeps a keyring in memory; `data` is what a file would hold."""

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data
        self.is_locked = False

    def read(self) -> bytes | None:
        return self.data

    def write(self, data: bytes) -> None:
        self.data = data

    @contextmanager
    def changing(self) -> Iterator[None]:
        if self.is_locked:
            raise KeyringBusy("locked by the test")
        self.is_locked = True
        try:
            yield
        finally:
            self.is_locked = False


class FixedSource:
    """Gives the same key-encryption key each time."""

    def __init__(self, byte: int = 1) -> None:
        self.byte = byte

    def key(self, hardening: Hardening) -> Secret:
        del hardening
        return Secret(bytes([self.byte]) * 32)


class MemoryBlocks:
    """A block store whose disk survives a crash, and can be wound back."""

    def __init__(self) -> None:
        self.disk: dict[str, int] = {}
        self.asked: list[tuple[str, int]] = []

    async def reserve(self, key_id: str, count: int) -> int:
        self.asked.append((key_id, count))
        first = self.disk.get(key_id, 0)
        self.disk[key_id] = first + count
        return first


def keyring(
    store: MemoryStore | None = None,
    source: FixedSource | None = None,
    *,
    blocks: BlockStore | None = None,
    name: str = "test",
) -> Keyring:
    """Return a new keyring in memory."""
    return create_keyring(
        store or MemoryStore(), source or FixedSource(), name=name, hardening=CHEAP, blocks=blocks
    )

"""A disk whose power can be cut: it knows what was synced, and what was written since may be there, torn, or not.

A layer under SQLite. Everything goes through to a real file; beside that, each file has an image of what is durable and
a list of the writes since its last sync. `cut_power` puts on the real disk what a real one might hold then: of those
writes any, in any order, whole or up to a sector. `is_lying` makes syncs return without having done anything.

Before each operation `on_operation` is asked, and may raise an error of SQLite in its place.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import apsw
from typing_extensions import override

from storage.sqlite.connection import prepare_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

_NAME = "faulty"
_BELOW = "unix"
_SECTOR_BYTES = 512

Kind = Literal["read", "write", "truncate", "sync", "open", "shared"]
Survival = Literal["nothing", "all", "some"]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that is about to happen to a file, by its suffix after `.db`: `-wal`, or nothing for the database."""

    kind: Kind
    file: str
    offset: int = 0


@dataclass(slots=True)
class _Image:
    durable: bytearray
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes, and truncations (None), since the last sync."""

    def sync(self) -> None:
        for offset, data in self.pending:
            _apply(self.durable, offset, data)
        self.pending.clear()

    def after_cut(self, survival: Survival, random: Random) -> bytes:
        content = bytearray(self.durable)
        kept = [] if survival == "nothing" else list(self.pending)
        if survival == "some":
            kept = [each for each in kept if random.random() < 0.5]
            random.shuffle(kept)
        for offset, data in kept:
            if data is None or survival == "all":
                _apply(content, offset, data)
                continue
            whole = random.random() < 0.5
            length = len(data) if whole else random.randrange(0, len(data) + 1, _SECTOR_BYTES)
            _apply(content, offset, data[:length])
        return bytes(content)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


@dataclass
class FaultyDisk:
    """What all files of the folder under test lie on."""

    on_operation: Callable[[Operation], None] = lambda _operation: None
    is_lying: bool = False
    is_dead: bool = False
    clock_ahead_ms: int = 0
    """How far SQLite's clock is ahead of the machine's."""
    short_read_bytes: int = 0
    """By how much reads of the database fall short."""
    _images: dict[str, _Image] = field(default_factory=dict)

    def heal(self) -> None:
        """Work from now on."""
        self.on_operation = lambda _operation: None
        self.is_lying = False
        self.short_read_bytes = 0

    def cut_power(self, survival: Survival, random: Random) -> None:
        """Let nothing pass any more, and put on the real disk what may be there; see `mend`."""
        self.is_dead = True
        for path, image in self._images.items():
            if Path(path).exists():
                Path(path).write_bytes(image.after_cut(survival, random))
            Path(f"{path}-shm").unlink(missing_ok=True)  # memory
        self._images.clear()

    def mend(self) -> None:
        """Give the power back."""
        self.is_dead = False
        self.heal()

    # -- for the files ------------------------------------------------------------------------------------------------

    def ask(self, operation: Operation) -> None:
        if self.is_dead:
            raise apsw.IOError("the power is cut")
        self.on_operation(operation)

    def image_of(self, path: str) -> _Image:
        image = self._images.get(path)
        if image is None:
            there = Path(path).read_bytes() if Path(path).exists() else b""
            image = self._images[path] = _Image(bytearray(there))
        return image

    def removed(self, path: str) -> None:
        self._images.pop(path, None)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._suffix = Path(path or "").name.rpartition(".db")[2]
        disk.ask(Operation("open", self._suffix))
        self._image = disk.image_of(path or "")
        super().__init__(_BELOW, name, flags)

    @override
    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.ask(Operation("read", self._suffix, offset))
        if self._disk.short_read_bytes and not self._suffix and offset:
            return super().xRead(amount - self._disk.short_read_bytes, offset)
        return super().xRead(amount, offset)

    @override
    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.ask(Operation("write", self._suffix, offset))
        super().xWrite(data, offset)
        self._image.pending.append((offset, bytes(data)))

    @override
    def xTruncate(self, newsize: int) -> None:
        self._disk.ask(Operation("truncate", self._suffix, newsize))
        super().xTruncate(newsize)
        self._image.pending.append((newsize, None))

    @override
    def xSync(self, flags: int) -> None:
        self._disk.ask(Operation("sync", self._suffix))
        super().xSync(flags)
        if not self._disk.is_lying:
            self._image.sync()


class _FaultyVfs(apsw.VFS):
    def __init__(self, disk: FaultyDisk) -> None:
        self._disk = disk
        super().__init__(_NAME, _BELOW, makedefault=True)

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _FaultyFile(self._disk, name, flags)

    @override
    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._disk.removed(filename)

    @override
    def xCurrentTimeInt64(self) -> int:
        return super().xCurrentTimeInt64() + self._disk.clock_ahead_ms


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """Put every file that is opened inside on a disk that can fail; close them before the end."""
    prepare_library()  # it starts SQLite anew, and would take our VFS away
    disk = FaultyDisk()
    vfs = _FaultyVfs(disk)
    try:
        yield disk
    finally:
        vfs.unregister()

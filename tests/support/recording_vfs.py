"""A layer under SQLite that notes each write and sync, and can make the disk fail.

`kill -9` proves nothing about durability: the operating system keeps what was written but not synced, so it passes
with `synchronous=OFF` too. What proves it is that a sync came after the last write and before the acknowledgement.
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

_NAME = "recording"
_BELOW = "unix"

Kind = Literal["write", "sync", "truncate", "acknowledge"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a file, by its suffix after `.db`: `-wal`, or nothing for the database."""

    kind: Kind
    file: str = ""
    offset: int = 0


@dataclass
class Recording:
    """What happened to all files since the recording began, and how the next things are to fail."""

    events: list[Event] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda _event: None
    """Called before each event takes place; raise an `apsw.Error` there to make the disk fail."""

    def note(self, event: Event) -> None:
        self.on_event(event)
        self.events.append(event)

    def acknowledge(self) -> None:
        """Note that a caller was told that its write is on the disk."""
        self.events.append(Event("acknowledge"))

    def unsynced_acknowledgements(self) -> int:
        """Count the acknowledgements that came after a write to a WAL that was not synced yet."""
        count, dirty = 0, set[str]()
        for event in self.events:
            if event.kind == "acknowledge":
                count += bool(dirty)
            elif event.file == "-wal" and event.kind == "write":
                dirty.add(event.file)
            elif event.kind == "sync":
                dirty.discard(event.file)
        return count


class _RecordingFile(apsw.VFSFile):
    def __init__(self, recording: Recording, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._recording = recording
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._suffix = Path(path or "").name.rpartition(".db")[2]
        super().__init__(_BELOW, name, flags)

    @override
    def xWrite(self, data: bytes, offset: int) -> None:
        self._recording.note(Event("write", self._suffix, offset))
        super().xWrite(data, offset)

    @override
    def xTruncate(self, newsize: int) -> None:
        self._recording.note(Event("truncate", self._suffix, newsize))
        super().xTruncate(newsize)

    @override
    def xSync(self, flags: int) -> None:
        self._recording.note(Event("sync", self._suffix))
        super().xSync(flags)


class _RecordingVfs(apsw.VFS):
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        super().__init__(_NAME, _BELOW, makedefault=True)

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _RecordingFile(self._recording, name, flags)


@contextmanager
def recording() -> Iterator[Recording]:
    """Record every file that is opened inside, unless its connection names another VFS; close them before the end."""
    prepare_library()  # it starts SQLite anew, and would take our VFS away
    record = Recording()
    vfs = _RecordingVfs(record)
    try:
        yield record
    finally:
        vfs.unregister()

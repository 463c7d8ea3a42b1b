"""What a sender notes: what it is about to enqueue, and what it was told is stored. Durable before it goes on.

A note is a range of its actions and a time of the machine's monotonic clock, which all processes share. What was begun
and not acknowledged when the sender was killed is enqueued again by its successor, under the same client ids.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGUN, STORED = "begun", "stored"


class Note(NamedTuple):
    """The actions `first` to `last` are about to be enqueued (`BEGUN`), or are on disk (`STORED`)."""

    what: str
    first: int
    last: int
    at_ns: int


class Ledger:
    """The notes of one sender, in the present folder."""

    def __init__(self, sender: str) -> None:
        path = Path(path_of(sender))
        _cut_off_torn_line(path)
        self.next_number = stored_count(notes(path))
        """The first action that is not acknowledged yet."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, what: str, first: int, last: int, at_ns: int) -> None:
        """Write a note down."""
        os.write(self._file, f"{what} {first} {last} {at_ns}\n".encode())
        os.fsync(self._file)
        if what == STORED:
            self.next_number = last + 1

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


def path_of(sender: str) -> str:
    """Return where `sender` notes."""
    return f"{sender}.ledger"


def notes(path: Path) -> Iterator[Note]:
    """Yield the notes in `path`, none if there is no such file; one that was not written to its end does not count."""
    if not path.exists():
        return
    for line in path.read_text(encoding="ascii").splitlines(keepends=True):
        if line.endswith("\n"):
            what, first, last, at_ns = line.split()
            yield Note(what, int(first), int(last), int(at_ns))


def stored_count(found: Iterator[Note]) -> int:
    """Return how many actions were acknowledged: all before the first one that was not."""
    return max((note.last + 1 for note in found if note.what == STORED), default=0)


def _cut_off_torn_line(path: Path) -> None:
    if path.exists():
        whole = path.read_bytes().rpartition(b"\n")
        os.truncate(path, len(whole[0]) + len(whole[1]))

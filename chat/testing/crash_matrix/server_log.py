"""What the server of the matrix has done and was asked: every call, in order, on disk before it is answered.

Started again after a kill, the server knows from it what it has done. A line that was not written to its end counts as
not done: nobody was told of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread
import msgspec

from chat.queue.clock import Wake

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "server.log"

What = Literal[
    "effect", "duplicate", "refusal", "conflict", "error", "lost", "known", "unknown", "login", "fair"
]
CALLS = frozenset({"effect", "duplicate", "refusal", "conflict", "error", "lost"})


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Something that the server saw, or did."""

    what: What
    """Of a call: its effect was new, was there before, or was refused; `error`: an answer without effect; `lost`: the
    request never arrived. Of a question: whether the action was known."""
    name: str
    client_id: str
    kind: str
    key: str
    account: str
    caller: str
    at_ns: int
    status: int = 0
    """What was answered, if anything was; it may be an error though the action was done."""
    is_echo: bool = False
    """The network made it of another call."""


class ServerLog:
    """Writes records, all that came in the meantime with one fsync; `run` is its task."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lines: list[bytes] = []
        self._written = anyio.Event()
        """Set when the lines that wait now are on disk."""
        self._wake = Wake()

    def add(self, record: Record) -> None:
        """Take a record, in the order of calls."""
        self._lines.append(_encode(record) + b"\n")
        self._wake.set()

    async def written(self) -> None:
        """Return once what the caller has just added is on disk, if it has added anything."""
        if self._lines:
            await self._written.wait()

    async def run(self) -> None:
        """Write what is added; runs for ever."""
        while True:
            self._wake.clear()
            lines, self._lines = self._lines, []
            if not lines:
                await self._wake.wait()
                continue
            written, self._written = self._written, anyio.Event()
            await anyio.to_thread.run_sync(self._write, b"".join(lines))
            written.set()

    def _write(self, data: bytes) -> None:
        os.write(self._file, data)
        os.fsync(self._file)


def records(path: Path) -> Iterator[Record]:
    """Yield the records in `path` that were written to their end."""
    if path.exists():
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield _decode(line)


def cut_off_torn_line(path: Path) -> None:
    """Take the end of `path` away that was being written when the server was killed."""
    if path.exists():
        data = path.read_bytes()
        os.truncate(path, data.rfind(b"\n") + 1)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode

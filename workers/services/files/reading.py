"""Read a file block by block, and know whether it stayed the same meanwhile.

What is compared is the identity, size, change and modification time of the open file before and after. Those times
tick every few milliseconds: of two writes within one tick, one before and one during the reading, the second may
stay unseen, and a memory-mapped write shows only once the system notes it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.services.files.errors import FileChanged, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.methods import Task

BLOCK_BYTES = 256 * 1024
"""How much is read at a time: between two looks at the task's deadline lie a millisecond or so of work."""


@dataclass(frozen=True)
class Source:
    """An open file being read for a task; its descriptor stays its opener's."""

    fd: int
    path: str
    """As the caller named it, for errors."""
    task: Task

    @contextmanager
    def unchanged(self) -> Iterator[int]:
        """Give the size in bytes, and see on leaving that nobody wrote to the file meanwhile.

        Raises:
            FileChanged: Somebody did; whatever was made of the file is to be thrown away.
        """
        before = os.fstat(self.fd)
        yield before.st_size
        after = os.fstat(self.fd)
        facts = ("st_size", "st_mtime_ns", "st_ctime_ns")
        if any(getattr(before, fact) != getattr(after, fact) for fact in facts):
            raise FileChanged(f"{self.path!r} was written to while it was read", path=self.path)

    def blocks(self, end: int, *, start: int = 0) -> Iterator[memoryview]:
        """Yield the bytes from `start` to `end` in order; each block is overwritten by the next.

        Raises:
            FileChanged: The file ends before `end`.
            TaskCancelled: The task was cancelled or is past its deadline.
        """
        buffer = memoryview(bytearray(min(BLOCK_BYTES, max(1, end - start))))
        while start < end:
            self.task.check()
            with translated(self.path):
                count = os.preadv(self.fd, [buffer[: min(len(buffer), end - start)]], start)
            if not count:
                raise FileChanged(f"{self.path!r} became shorter while it was read", path=self.path)
            start += count
            yield buffer[:count]

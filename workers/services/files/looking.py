"""A file as parsers see it: read only, and only so much of it.

A parser of a hostile file can be made to read the same megabytes a thousand times, or to ask for a gigabyte at once.
Behind this it gets an error when it has read `left_bytes` in all, and the task's deadline is looked at each time.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from workers.services.files.errors import FileUnreadable

if TYPE_CHECKING:
    from typing_extensions import Buffer, override

    from workers.methods import Task
else:
    from typing_extensions import override

LOOK_BYTES = 64 * 1024 * 1024
"""How much a parser may read in all."""


class Looked(io.RawIOBase):
    """The file behind a descriptor, which stays its owner's."""

    def __init__(self, fd: int, path: str, task: Task) -> None:
        super().__init__()
        self._fd = fd
        self._path = path
        self._task = task
        self.left_bytes = LOOK_BYTES
        """How much may still be read; a parser with a reason for more or less sets it."""
        self._position = 0
        self.size = os.fstat(fd).st_size

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._position

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the file")
        self._position = base + offset
        return self._position

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        self._task.check()
        target = memoryview(buffer).cast("B")
        count = os.preadv(self._fd, [target], self._position) if len(target) else 0
        self.left_bytes -= count
        if self.left_bytes < 0:
            raise FileUnreadable(f"{self._path!r} asks for too much reading", path=self._path)
        self._position += count
        return count

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self.size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > self.left_bytes:
            raise FileUnreadable(f"{self._path!r} asks for too much reading", path=self._path)
        data = bytearray(wanted)
        view, done = memoryview(data), 0
        while done < wanted:
            count = self.readinto(view[done:])
            if not count:
                break
            done += count
        return bytes(view[:done])

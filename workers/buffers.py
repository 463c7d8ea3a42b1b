"""Bulk bytes beside a request: how they get into a worker, and how a method writes its output.

In this process a buffer is a view of what the caller has. To another process a small one goes inside the message and
a large one as a memfd, mapped there: one copy on the way in, made off the loop (`writev` lets go of the interpreter
lock), and none on the way out, when the method writes into what `Task.allocate` gave it. A memfd is sealed against
shrinking before it is sent, and nothing unsealed is mapped: a file that shrinks under a map is a SIGBUS.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

from workers.body import SLICE_BYTES, Body, is_sealed, memory_file, sealed, spilled
from workers.mappings import close_file, fresh

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence

FILE_FROM_BYTES = 64 * 1024
"""A buffer above this goes to another process as a file, others inside the message."""
MAX_COUNT = 64
"""Buffers of one request, in and out each: their descriptors leave with one message, and Linux sends at most 253."""

Bytes = bytes | bytearray | memoryview
Input = bytes | bytearray | memoryview | Body


def size_of(buffers: Sequence[Input]) -> int:
    """Return how many bytes `buffers` hold together."""
    return sum(
        each.length if isinstance(each, Body) else memoryview(each).nbytes if len(each) else 0
        for each in buffers
    )


class Attachments:
    """The input buffers of one request while it is out; closed once no worker has the request any more."""

    __slots__ = ("_let_go", "fds", "items", "size_bytes")

    def __init__(self, size_bytes: int, let_go: Callable[[int], None]) -> None:
        self.items: list[Any] = []
        """Bytes-like objects, and the length of each that goes as a file."""
        self.fds: list[int] = []
        """The files, in the order of their lengths among `items`."""
        self.size_bytes = size_bytes
        self._let_go: Callable[[int], None] | None = let_go

    def close(self) -> None:
        """Give files and place back; calling again does nothing."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go(self.size_bytes)
        self.items = []
        while self.fds:
            close_file(self.fds.pop(), self.size_bytes)

    def share(self, buffers: Sequence[Input]) -> None:
        """Take `buffers` for a worker in this process: nothing is copied."""
        self.items = [_view(each) for each in buffers]

    async def pack(self, buffers: Sequence[Input]) -> None:
        """Take `buffers` for a worker in another process: large ones are written to files, off the loop.

        Raises:
            OSError: No memory or descriptor is to be had.
        """
        large: list[memoryview] = []
        places: list[int] = []
        for each in buffers:
            if isinstance(each, Body) and each.fd is not None and is_sealed(each.fd):
                self.fds.append(os.dup(each.fd))
                self.items.append(each.length)
                continue
            view = _view(each)
            if view.nbytes <= FILE_FROM_BYTES:
                self.items.append(view)
            else:
                places.append(len(self.fds) + len(large))
                self.items.append(view.nbytes)
                large.append(view)
        if not large:
            return
        if sum(view.nbytes for view in large) <= SLICE_BYTES:
            files = _files(large)
        else:
            from anyio import CancelScope, to_thread  # noqa: PLC0415 - a worker process must not import anyio

            with CancelScope(shield=True):  # files that were made must not be lost; it takes milliseconds
                files = await to_thread.run_sync(_files, large)
        for place, fd in zip(places, files, strict=True):
            self.fds.insert(place, fd)


def _view(buffer: Input) -> memoryview:
    view = buffer.mapped() if isinstance(buffer, Body) else memoryview(buffer)
    return view.cast("B").toreadonly() if view.nbytes else memoryview(b"")


def _files(views: Sequence[memoryview]) -> list[int]:
    files: list[int] = []
    try:
        for view in views:
            files.append(spilled(Body((view,))))  # noqa: PERF401 - what was made must be known when one fails
    except BaseException:
        for fd in files:
            os.close(fd)
        raise
    return files


def mapped(fd: int, length: int) -> memoryview:
    """Return `length` read-only bytes of the file `fd`, and close `fd`; a file that could shrink is copied.

    Raises:
        OSError: It can't be mapped or read.
        ValueError: It is shorter than `length`.
    """
    with Body.from_file(fd, length) as body:
        return body.mapped()


def attach(calls: Sequence[Any], fds: deque[int]) -> None:
    """Put the files that came with a frame where its `calls`, as decoded, hold their lengths."""
    for call in calls:
        params = call.params
        if not isinstance(params, list) or len(params) < 2 or not isinstance(params[1], list):  # noqa: PLR2004 - see `Envelope`
            continue
        buffers = params[1]
        for index, item in enumerate(buffers):
            if type(item) is int and fds:
                buffers[index] = mapped(fds.popleft(), item)


class Output(Body):
    """An output buffer that a method fills through `view`; made by `Task.allocate`, and returned as any buffer."""

    __slots__ = ("view",)

    def __init__(self, size_bytes: int, *, as_file: bool) -> None:
        if not as_file or size_bytes <= FILE_FROM_BYTES:
            # a bytearray of 64 MiB is zeroed under the interpreter lock: 43 ms in which no loop turns, against 1.4
            self.view = memoryview(bytearray(size_bytes)) if size_bytes <= SLICE_BYTES else fresh(size_bytes)
            """Its bytes, to be written."""
            super().__init__((self.view,) if size_bytes else ())
            return
        super().__init__(())
        fd = memory_file()
        try:
            os.truncate(fd, size_bytes)
            self.view = memoryview(mmap.mmap(fd, size_bytes))
        except BaseException:
            os.close(fd)
            raise
        self._fd, self.length = fd, size_bytes

    def trim(self, size_bytes: int) -> None:
        """Keep the first `size_bytes` only.

        Raises:
            ValueError: It does not have as many.
        """
        if not 0 <= size_bytes <= self.length:
            raise ValueError(f"an output of {self.length} bytes can't be trimmed to {size_bytes}")
        self.length = size_bytes
        if self._fd is None:
            self.parts = (self.view[:size_bytes],) if size_bytes else ()

    def file(self) -> int:
        """Return a descriptor of its own for what was written, trimmed and sealed; the caller owns it."""
        fd = self._fd
        if fd is None:
            raise ValueError("the output is in memory")
        if self.length < self.view.nbytes:
            os.truncate(fd, self.length)
        return os.dup(sealed(fd))

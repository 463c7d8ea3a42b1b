"""A result that may be large: bytes when small, a file without a name when it comes from another process.

A 12.5 MB result inside a message stalls the event loop for 3.6 ms (20 ms with four at once); read from a memfd in
slices of 256 KiB, 0.9 ms (5.0); handed on to the socket as a file, 1.6 ms (3.6). Measured 2026-11 on 2 cores.
Only a file that is sealed against shrinking is ever mapped: under a map, one that shrinks is a SIGBUS.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from workers.mappings import of_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

SLICE_BYTES = 256 * 1024
"""How much is copied at a time; about 0.1 ms of work on the event loop."""

_WRITE_PARTS_COUNT = 512
"""Parts handed to one `writev`; Linux allows 1,024."""


class Body:
    """Bytes of a known length, read in slices; close it when done (it is its own context manager)."""

    __slots__ = ("_fd", "length", "parts")

    def __init__(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        self.parts: Sequence[bytes | bytearray | memoryview] = parts
        """What is in memory; empty when a file holds it, or when it is closed."""
        self._fd: int | None = None
        self.length = sum(map(len, parts))

    @classmethod
    def from_file(cls, fd: int, length: int) -> Self:
        """Return the body that `fd` holds from offset 0 on; the body owns the descriptor from now on."""
        body = cls(())
        body._fd = fd
        body.length = length
        return body

    @property
    def fd(self) -> int | None:
        """The descriptor of the file that holds it, for `sendfile`; None when it is in memory (or closed)."""
        return self._fd

    def chunks(self, size_bytes: int = SLICE_BYTES) -> Iterator[bytes]:
        """Yield it in order, at most `size_bytes` at a time; a slow caller holds nothing but the file.

        Raises:
            ValueError: The body is closed.
        """
        if self._fd is not None:
            offset = 0
            while offset < self.length:
                if self._fd is None:
                    raise ValueError("the body was closed while it was read")
                piece = os.pread(self._fd, min(size_bytes, self.length - offset), offset)
                if not piece:
                    raise ValueError(f"the body ends at {offset} of {self.length} bytes")
                offset += len(piece)
                yield piece
            return
        if self.length and not self.parts:
            raise ValueError("the body is closed")
        for part in self.parts:
            if len(part) <= size_bytes:
                yield part if isinstance(part, bytes) else bytes(part)
            else:
                view = memoryview(part)
                for start in range(0, len(part), size_bytes):
                    yield bytes(view[start : start + size_bytes])

    async def read(self) -> bytes:
        """Return all of it, letting the event loop turn between slices."""
        if self._fd is None and len(self.parts) == 1 and isinstance(self.parts[0], bytes):
            return self.parts[0]
        if self.length <= SLICE_BYTES:
            return b"".join(self.chunks())
        from anyio.lowlevel import checkpoint  # noqa: PLC0415 - a worker process must not import anyio

        whole = bytearray()
        for piece in self.chunks():
            whole += piece
            await checkpoint()
        return bytes(whole)

    def mapped(self) -> memoryview:
        """Return all of it as one read-only view, which outlives the body; nothing is copied if that is safe.

        Raises:
            ValueError: The body is closed, or its file is shorter than it should be.
        """
        if self._fd is None:
            parts = self.parts
            if self.length and not parts:
                raise ValueError("the body is closed")
            return memoryview(parts[0] if len(parts) == 1 else b"".join(parts)).toreadonly()
        if self.length and is_sealed(self._fd):
            return of_file(self._fd, self.length)
        return memoryview(b"".join(self.chunks()))

    def close(self) -> None:
        """Give the memory or the file back; calling again does nothing."""
        self.parts = ()
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_fd", None) is not None:
            warnings.warn(f"a body of {self.length} bytes was never closed", ResourceWarning, stacklevel=2)
            self.close()


class Outcome:
    """A typed method's result, encoded, and the buffers beside it; its receiver closes it."""

    __slots__ = ("buffers", "value")

    def __init__(self, value: bytes, buffers: Sequence[Body] = ()) -> None:
        self.value = value
        self.buffers = buffers

    def close(self) -> None:
        """Give the buffers back."""
        for body in self.buffers:
            body.close()


def memory_file() -> int:
    """Return the descriptor of an empty file without a name: a memfd on Linux, elsewhere an unlinked temporary file.

    Raises:
        OSError: No memory or descriptor is to be had.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("body", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    import tempfile  # noqa: PLC0415 - a worker need not load it with `random` and `shutil`: it is for other systems

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def sealed(fd: int) -> int:
    """Return `fd` once its file can't change its size any more, where the system offers that."""
    if hasattr(fcntl, "F_ADD_SEALS"):
        try:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        except OSError:
            return fd  # a file that can't be sealed is read instead of mapped
    return fd


def is_sealed(fd: int) -> bool:
    """Return whether the file of `fd` can't shrink."""
    if not hasattr(fcntl, "F_GET_SEALS"):
        return False
    try:
        return bool(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK)
    except OSError:
        return False  # a file of a kind that has no seals


def spilled(body: Body) -> int:
    """Write `body` to a file without a name, sealed where that can be, and return its descriptor; the caller owns it.

    Raises:
        OSError: No memory, space or descriptor; nothing is left open.
    """
    fd = memory_file()
    try:
        pending = [memoryview(part) for part in body.parts if len(part)]
        while pending:
            written = os.writev(fd, pending[:_WRITE_PARTS_COUNT])
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if written:
                pending[0] = pending[0][written:]
    except BaseException:
        os.close(fd)
        raise
    return sealed(fd)


def discard(value: Any) -> None:
    """Close a result that nobody takes, where it is one that must be closed."""
    if hasattr(value, "close"):
        value.close()

"""A page of memory that processes share: a sealed memfd, mapped, and what its head says.

A memfd has no name, no tracker and no leftovers. `multiprocessing.shared_memory` was not taken: its tracker unlinks
segments that are in use (cpython#82300), and a full `/dev/shm` is a SIGBUS when it is touched. Here the page is
written by system calls before it is mapped, so want of memory is an `OSError` where it is made; and the seal keeps
one user from taking it from under another by shrinking it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from typing import TYPE_CHECKING

from workers.shared.errors import SharedRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.shared.cells import Backing

PAGE_BYTES = 4096
HEAD, VERSION, SLEEPERS, WATCHERS, POKE, FIRST = 0, 8, 16, 24, 32, 40
"""Places in the page in words: what it is, the number of changes, who sleeps, who watches, a byte to write, cells."""
MAX_CELLS_COUNT = 4

_MAGIC = 0x63656C6C31  # "cell1"
_BACKINGS: dict[int, Backing] = {1: "atomics", 2: "lock"}
_CODES = {backing: code for code, backing in _BACKINGS.items()}
_WORD_BYTES = 8
LOW_HALF_BYTES = 0 if sys.byteorder == "little" else 4
"""Where the half of a word is that counting up changes: a futex has four bytes."""


class Page:
    """A mapped page with a descriptor of its own; both go with the last reference, so no operation loses them."""

    def __init__(self, fd: int, kind: int) -> None:
        """Map `fd`, which stays the caller's.

        Raises:
            SharedRefused: It is no page of cells of this `kind`.
            OSError: No memory, descriptor or `/proc`.
        """
        self.fd = -1
        if not hasattr(fcntl, "F_GET_SEALS"):
            raise OSError("no seals for memory files here")
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError as error:
            raise SharedRefused("this is no shared object") from error
        if not seals & fcntl.F_SEAL_SHRINK or os.fstat(fd).st_size != PAGE_BYTES:
            raise SharedRefused("this is no shared object")
        # an open file description of its own is what `flock` and inotify go by
        self.fd = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
        self._memory = mmap.mmap(self.fd, PAGE_BYTES)
        self.words: memoryview[int] = memoryview(self._memory).cast("q")
        magic, found_kind, code = (
            self.words[HEAD] >> 16,
            self.words[HEAD] >> 8 & 0xFF,
            self.words[HEAD] & 0xFF,
        )
        if magic != _MAGIC or found_kind != kind or code not in _BACKINGS:
            raise SharedRefused("this is no shared object of this kind")
        self.backing = _BACKINGS[code]
        self._address = 0

    @classmethod
    def create(cls, kind: int, values: Sequence[int], backing: Backing) -> Page:
        """Make a page whose cells hold `values`; `kind` is a byte that says what they mean.

        Raises:
            OSError: No memory, descriptor, memfd or `/proc`.
        """
        if not hasattr(os, "memfd_create"):
            raise OSError("no memory files here")
        fd = os.memfd_create("shared", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.truncate(fd, PAGE_BYTES)
            head = _MAGIC << 16 | kind << 8 | _CODES[backing]
            for index, value in ((HEAD, head), *enumerate(values, FIRST)):
                os.pwrite(fd, value.to_bytes(_WORD_BYTES, sys.byteorder, signed=True), index * _WORD_BYTES)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            return cls(fd, kind)
        finally:
            os.close(fd)

    def address(self, index: int) -> int:
        """Return where word `index` is in this process, for as long as the page is referenced."""
        if not self._address:
            import ctypes  # noqa: PLC0415 - some builds of Python lack it; then nobody asks

            self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        return self._address + index * _WORD_BYTES

    def poke(self) -> None:
        """Let those who watch the file hear of it."""
        os.pwrite(self.fd, b"\x01", POKE * _WORD_BYTES)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

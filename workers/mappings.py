"""Large memory as fresh pages of the kernel, given back without holding up anybody.

Who drops the last reference to 64 MiB gives 16,384 pages back then and there, and CPython holds the interpreter
meanwhile, in whatever thread (`mmap.close` too): 10 ms on 2 virtual cores (2026-11), in which no loop turns. So a large
mapping is made and unmapped by the C library itself, called by `ctypes`, which leaves the interpreter to others; a
thread that lives for just that does the unmapping. Elsewhere than on Linux, and below `LARGE_BYTES`, it is a plain
`mmap`.
"""

from __future__ import annotations

import _thread
import mmap
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE_BYTES: Final = 4 * 1024 * 1024
"""Below this, unmapping takes less than starting a thread for it."""

_libc: Any = None


def fresh(size_bytes: int) -> memoryview:
    """Return `size_bytes` of zeros to write to, whose pages appear when they are first written.

    Raises:
        OSError: No memory is to be had.
    """
    if size_bytes < LARGE_BYTES or sys.platform != "linux":
        return memoryview(mmap.mmap(-1, size_bytes))
    return _mapped(-1, size_bytes, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def of_file(fd: int, size_bytes: int) -> memoryview:
    """Return the first `size_bytes` of a file, to read; the file must not shrink, and may be closed.

    Raises:
        OSError: It can't be mapped.
    """
    if size_bytes < LARGE_BYTES or sys.platform != "linux":
        return memoryview(mmap.mmap(fd, size_bytes, prot=mmap.PROT_READ))
    return _mapped(fd, size_bytes, mmap.PROT_READ, mmap.MAP_SHARED).toreadonly()


def close_file(fd: int, size_bytes: int) -> None:
    """Close a file of so many bytes; a large one elsewhere, since the last to close it gives its pages back."""
    if size_bytes < LARGE_BYTES:
        os.close(fd)
        return
    try:
        _thread.start_new_thread(os.close, (fd,))
    except RuntimeError:  # no thread is to be had
        os.close(fd)


def _mapped(fd: int, size_bytes: int, protection: int, flags: int) -> memoryview:
    import ctypes  # noqa: PLC0415 - 5 ms that only large memory is worth
    import weakref  # noqa: PLC0415

    libc = _c_library()
    address = libc.mmap(None, size_bytes, protection, flags, fd, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "no memory can be mapped")
    memory = (ctypes.c_char * size_bytes).from_address(address)
    weakref.finalize(memory, _unmap, libc.munmap, address, size_bytes).atexit = False
    return memoryview(memory).cast("B")


def _unmap(munmap: Callable[[int, int], int], address: int, size_bytes: int) -> None:
    """Unmap what nobody has a view of any more."""
    try:
        _thread.start_new_thread(munmap, (address, size_bytes))
    except RuntimeError:  # no thread is to be had
        munmap(address, size_bytes)


def _c_library() -> Any:
    global _libc  # noqa: PLW0603 - loaded once
    if _libc is None:
        import ctypes  # noqa: PLC0415 - see `_mapped`

        _libc = ctypes.CDLL(None, use_errno=True)
        _libc.mmap.restype = ctypes.c_void_p
        _libc.mmap.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_ssize_t,
        ]
        _libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return _libc

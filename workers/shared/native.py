"""What shared memory needs of the machine that Python does not offer: atomic operations, futexes, inotify.

CPython has no atomic instruction, so these ways were measured: the operation itself, and all of `SharedCounter.add`,
one process alone and two at once. Best of 150 rounds on 2 cores that were busy with other work, 2026-11-23:

| way | operation | add | two at once | compare-and-swap | held up by |
|---|---|---|---|---|---|
| `libatomic` by `ctypes` | 0.26 us | 1.1 us | 1.1 us | yes | nobody |
| store under `flock` | 0.47 us (the lock) | 1.4 us | 1.4-2.2 us | yes | a stopped holder |
| `atomicshm` 0.1.0 | 0.03 us | not built in | | yes | nobody |
| a word for each writer, readers sum | 0.06 us | not built in | | no | nobody |
| asking the owner's thread over a socket | 46 us | 46 us | 46 us | yes | a busy owner |

The medians were two to three times as much. To wake a process that waits took 16-20 us at best and 30 us in the median
through shared memory, 86 and 190 us through an owner; to make an object from a buffer 77 us.

`libatomic.so.1` is GCC's own run-time library: its functions of 8 bytes are the machine's instructions and take no
lock. Called through `ctypes.PyDLL` the interpreter lock is kept, for giving it up costs more than the call. A slim
container may lack it; then updates go under `flock`, whose lock the kernel takes from a holder that dies, and each
update is one store of eight aligned bytes, so that a holder killed before or after it leaves a sound value.
`atomicshm` would make an `add` a fifth quicker, most of which is Python's own time, at the price of a binary by one
author in its first release. A word for each writer can't compare and swap, which all but the counter need.

**Proof that it is atomic**: `tests/integration/workers/test_shared_processes.py` (exact sums of four processes, of
every backing), `tests/crash/test_shared_kill.py` (users killed at any moment, with what they began and ended noted
beside), and every interleaving of two users of a progress, each killed after every step, in
`tests/unit/workers/test_shared_progress.py`.
"""

from __future__ import annotations

import errno
import os
import platform
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ctypes

_SEQUENTIAL = 5
"""C's `memory_order_seq_cst`."""
_FUTEX_NUMBERS = {"x86_64": 202, "aarch64": 98, "riscv64": 98}
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1
_EVERYBODY = 0x7FFFFFFF
_IN_MODIFY = 0x2
_INOTIFY_FLAGS = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ORDERED_LOADS = frozenset({"x86_64", "AMD64", "i686"})
"""Machines on which a plain load of eight aligned bytes is an acquiring one."""


class Atomics:
    """Operations on eight aligned bytes that no other process or thread sees half done.

    They take what `pointer_to` makes: an argument that is a C value already is passed twice as quickly as a number.
    """

    def __init__(self, library: ctypes.PyDLL) -> None:
        import ctypes  # noqa: PLC0415 - see `native`

        self._load = library["__atomic_load_8"]
        self._fetch_add = library["__atomic_fetch_add_8"]
        self._exchange = library["__atomic_compare_exchange_8"]
        self._load.restype = self._fetch_add.restype = self._word = ctypes.c_int64
        self._exchange.restype = ctypes.c_bool
        self._byref = ctypes.byref
        self.pointer_to = ctypes.c_void_p
        self.has_ordered_loads = platform.machine() in _ORDERED_LOADS

    def load(self, pointer: Any) -> int:
        """Return the word."""
        value: int = self._load(pointer, _SEQUENTIAL)
        return value

    def fetch_add(self, pointer: Any, amount: int) -> int:
        """Add, wrapping at 64 bits, and return what was there before."""
        before: int = self._fetch_add(pointer, self._word(amount), _SEQUENTIAL)
        return before

    def compare_and_swap(self, pointer: Any, expected: int, new: int) -> bool:
        """Put `new` where `expected` is, and return whether it was there."""
        found = self._byref(self._word(expected))
        swapped: bool = self._exchange(pointer, found, self._word(new), _SEQUENTIAL, _SEQUENTIAL)
        return swapped


class Futex:
    """Sleeping until another process or thread says so, on four bytes of a shared page."""

    def __init__(self, number: int) -> None:
        import ctypes  # noqa: PLC0415

        def system_call(library: Any) -> Any:
            function = library.syscall
            function.argtypes = [
                ctypes.c_long,
                ctypes.c_void_p,
                ctypes.c_int,
                ctypes.c_uint32,
                ctypes.c_void_p,
            ]
            function.argtypes += [ctypes.c_void_p, ctypes.c_uint32]
            function.restype = ctypes.c_long
            return function

        self._number = number
        self._waiting_call = system_call(
            ctypes.CDLL(None, use_errno=True)
        )  # lets other threads run meanwhile
        self._waking_call = system_call(ctypes.PyDLL(None))
        self._two_words = ctypes.c_int64 * 2
        self._byref = ctypes.byref
        self._errno = ctypes.get_errno

    def wait(self, address: int, seen: int, limit_s: float) -> None:
        """Return at once if the word is not `seen`, else when woken, after `limit_s`, or for no reason."""
        seconds = int(limit_s)
        limit = self._two_words(seconds, int((limit_s - seconds) * 1e9))
        result = self._waiting_call(
            self._number, address, _FUTEX_WAIT, seen & 0xFFFFFFFF, self._byref(limit), None, 0
        )
        if result < 0 and self._errno() not in {errno.EAGAIN, errno.ETIMEDOUT, errno.EINTR}:
            raise OSError(self._errno(), os.strerror(self._errno()))

    def wake(self, address: int) -> None:
        """Wake whoever sleeps on the word."""
        self._waking_call(self._number, address, _FUTEX_WAKE, _EVERYBODY, None, None, 0)


class Inotify:
    """Hearing on an event loop that somebody wrote to a file, without that somebody knowing of us."""

    def __init__(self) -> None:
        import ctypes  # noqa: PLC0415

        self._library = ctypes.CDLL(None, use_errno=True)
        self._errno = ctypes.get_errno

    def open(self) -> int:
        """Return a new non-blocking descriptor that is readable when a watched file was written to.

        Raises:
            OSError: The user has no instance left (128 is usual).
        """
        return self._checked(self._library.inotify_init1(_INOTIFY_FLAGS))

    def watch(self, fd: int, file_fd: int) -> int:
        """Watch the file behind `file_fd` and return its number among the watches of `fd`.

        Raises:
            OSError: No watch left, or no `/proc`.
        """
        path = b"/proc/self/fd/%d" % file_fd
        return self._checked(self._library.inotify_add_watch(fd, path, _IN_MODIFY))

    def forget(self, fd: int, watch: int) -> None:
        """End a watch."""
        self._checked(self._library.inotify_rm_watch(fd, watch))

    def _checked(self, result: int) -> int:
        if result < 0:
            raise OSError(self._errno(), os.strerror(self._errno()))
        return result


@dataclass(frozen=True, slots=True)
class Native:
    """What this machine offers; what is None is done without (see `capabilities`)."""

    atomics: Atomics | None
    futex: Futex | None
    inotify: Inotify | None


@cache
def native() -> Native:
    """Return what this machine offers; looked for once, when the first shared object is made."""
    try:
        import ctypes  # noqa: PLC0415 - some builds of Python lack it
    except ImportError:
        return Native(None, None, None)
    is_linux = platform.system() == "Linux"
    return Native(
        atomics=_atomics(ctypes),
        futex=_futex() if is_linux else None,
        inotify=Inotify() if is_linux and hasattr(ctypes.CDLL(None), "inotify_init1") else None,
    )


def _atomics(library: Any) -> Atomics | None:
    try:
        return Atomics(library.PyDLL("libatomic.so.1"))
    except (OSError, AttributeError):
        return None


def _futex() -> Futex | None:
    number = _FUTEX_NUMBERS.get(platform.machine())
    return None if number is None else Futex(number)

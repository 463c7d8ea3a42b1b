"""Large memory as fresh pages of the kernel, given back off the event loop.

Who drops the last reference to 64 MiB gives its pages back then and there: 7 ms and more, in which no loop turns
(2026-11, 2 cores). A large mapping is therefore unmapped by a thread that lives for just that.
"""

from __future__ import annotations

import _thread
import mmap
import sys
from contextlib import suppress

_OWN_THREAD_FROM_BYTES = 4 * 1024 * 1024
"""Below this, starting the thread takes as long."""


class Mapping(mmap.mmap):
    """A `mmap.mmap`, unmapped elsewhere when nobody uses it any more."""

    def __del__(self) -> None:
        if sys.is_finalizing() or self.closed or len(self) < _OWN_THREAD_FROM_BYTES:
            return
        with suppress(RuntimeError):  # no thread is to be had: then it is unmapped here
            _thread.start_new_thread(self.close, ())

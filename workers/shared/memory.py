"""Cells in a page of memory that processes map.

**Who waits misses nothing**: a sleeper counts itself in before it looks, and whoever changes a cell looks at the
count afterwards, both in one order for all. A sleeper that is killed stays counted, which costs the writers a system
call a change and nothing else.

**`lock`**: a change is made under `flock`, on a file description that no other process has; the kernel gives the
lock up when its holder dies. What is changed under it is one word by one store, so there is nothing to repair. (A
holder that is *stopped*, by a debugger say, does hold the others up; with `atomics` it does not.)
"""

from __future__ import annotations

import fcntl
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from workers.shared.cells import HIGHEST, LOWEST
from workers.shared.errors import SharedClosed, SharedRefused
from workers.shared.lending import lend
from workers.shared.page import FIRST, LOW_HALF_BYTES, MAX_CELLS_COUNT, SLEEPERS, VERSION, WATCHERS, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from workers.shared.cells import Backing, Ear, Listener
    from workers.shared.native import Futex, Native

POLL_S = 0.02
"""How often a thread looks where futexes are not to be had."""
_SMALL, _FAR = 2**40, 2**62


class MemoryCells:
    """See `Cells`."""

    def __init__(self, page: Page, native: Native) -> None:
        """Take a page that may be in use already.

        Raises:
            SharedRefused: Its users change it by means that this process lacks.
        """
        if page.backing == "atomics" and native.atomics is None:
            raise SharedRefused("this shared object needs atomic operations, which are not to be had here")
        self.backing: Backing = page.backing
        self._native = native
        self._page: Page | None = page
        self._lock = threading.Lock()
        self._atomics = atomics = native.atomics if page.backing == "atomics" else None
        if atomics is not None:
            self._pointers = [
                atomics.pointer_to(page.address(index)) for index in range(FIRST + MAX_CELLS_COUNT)
            ]

    @classmethod
    def create(cls, kind: int, values: Sequence[int], native: Native) -> MemoryCells:
        """Make cells that hold `values`, by the best means that `native` has; see `Page.create`."""
        return cls(Page.create(kind, values, "lock" if native.atomics is None else "atomics"), native)

    @property
    def is_closed(self) -> bool:
        """See `Cells`."""
        return self._page is None

    def load(self, index: int) -> int:
        """See `Cells`."""
        return self._load(self._open_page(), FIRST + index)

    def compare_and_swap(self, index: int, expected: int, new: int) -> bool:
        """See `Cells`."""
        page = self._open_page()
        swapped = self._swap(page, FIRST + index, expected, new)
        if swapped:
            self._tell(page)
        return swapped

    def add(self, index: int, amount: int) -> int:
        """See `Cells`."""
        page = self._open_page()
        total = self._add(page, FIRST + index, amount)
        self._tell(page)
        return total

    @contextmanager
    def listener(self) -> Iterator[Listener]:
        """See `Cells`."""
        page, futex = self._open_page(), self._native.futex
        if futex is None:
            yield _PollingThread()
            return
        self._add(page, SLEEPERS, 1)
        try:
            yield _SleepingThread(self, page, futex)
        finally:
            self._add(page, SLEEPERS, -1)

    @asynccontextmanager
    async def ear(self) -> AsyncIterator[Ear]:
        """See `Cells`."""
        from workers.shared.ears import ear_on  # noqa: PLC0415 - a worker process must not import anyio

        page = self._open_page()
        with ear_on(self._native.inotify, page.fd) as ear:
            self._add(page, WATCHERS, 1)
            try:
                yield ear
            finally:
                self._add(page, WATCHERS, -1)

    def get_buffer(self) -> bytes:
        """See `Cells`."""
        return lend(self._open_page())

    def close(self) -> None:
        """See `Cells`; the kernel frees the page with its last user."""
        page, self._page = self._page, None
        if page is not None:
            self._tell(page)

    def version(self, page: Page) -> int:
        """Return the number of changes that sleepers were told of."""
        return self._load(page, VERSION)

    def _tell(self, page: Page) -> None:
        """Wake those who wait, if any."""
        if self._load(page, SLEEPERS) > 0:
            self._add(page, VERSION, 1)
            if self._native.futex is not None:
                self._native.futex.wake(page.address(VERSION) + LOW_HALF_BYTES)
        if self._load(page, WATCHERS) > 0:
            page.poke()

    def _load(self, page: Page, index: int) -> int:
        atomics = self._atomics
        if atomics is None or atomics.has_ordered_loads:
            return page.words[index]
        return atomics.load(self._pointers[index])

    def _swap(self, page: Page, index: int, expected: int, new: int) -> bool:
        if self._atomics is not None:
            return self._atomics.compare_and_swap(self._pointers[index], expected, new)
        with self._lock:  # the lock of the file is one for all threads that use this descriptor
            try:
                fcntl.flock(page.fd, fcntl.LOCK_EX)
                is_there = page.words[index] == expected
                if is_there:
                    page.words[index] = new  # one store: a holder that is killed here did it or did not
            finally:
                fcntl.flock(page.fd, fcntl.LOCK_UN)
        return is_there

    def _add(self, page: Page, index: int, amount: int) -> int:
        if (
            self._atomics is not None
            and -_SMALL < amount < _SMALL
            and -_FAR
            < page.words[index]
            < _FAR  # it takes four million of them at once to pass 64 bits from here
        ):
            return self._atomics.fetch_add(self._pointers[index], amount) + amount
        while True:
            before = self._load(page, index)
            total = before + amount
            if not LOWEST <= total <= HIGHEST:
                raise OverflowError(f"{before} and {amount} make more than 64 bits hold")
            if self._swap(page, index, before, total):
                return total

    def _open_page(self) -> Page:
        page = self._page  # whoever holds it keeps memory and descriptor, whatever `close` does meanwhile
        if page is None:
            raise SharedClosed("this shared object is closed")
        return page


class _SleepingThread:
    def __init__(self, cells: MemoryCells, page: Page, futex: Futex) -> None:
        self._cells = cells
        self._page = page
        self._futex = futex
        self._seen = cells.version(page)

    def sleep(self, limit_s: float) -> None:
        """See `Listener`."""
        self._futex.wait(self._page.address(VERSION) + LOW_HALF_BYTES, self._seen, limit_s)
        self._seen = self._cells.version(self._page)


class _PollingThread:
    def sleep(self, limit_s: float) -> None:
        """See `Listener`."""
        threading.Event().wait(min(limit_s, POLL_S))

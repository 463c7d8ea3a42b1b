"""Numbers that processes and threads share: what a backing must offer, and how one waits on it.

A *cell* holds a 64-bit signed whole number. The shared objects (counter, flag, progress, cancellation) are written
against `Cells` alone, so they mean the same on each backing:

- `atomics`: a page of memory, changed by the machine's own instructions;
- `lock`: a page of memory, changed under a lock that the kernel takes from whoever dies;
- `owner`: no memory; the process that made it holds the numbers and is asked over a socket.

**Nobody who dies holds up another.** No backing has a lock that outlives its holder, and every change is one store
or nothing. Between a change and the wake-up that follows it a killer can strike; then those who wait see the change
at the next look of their safety net, `NET_S` later. That net is the only polling.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from workers.shared.errors import SharedClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Self

T = TypeVar("T")

Backing = Literal["atomics", "lock", "owner"]
BACKINGS: tuple[Backing, ...] = ("atomics", "lock", "owner")
"""In the order in which they are preferred."""

NET_S = 1.0
"""How often those who wait look by themselves, should a wake-up have died with its sender."""
MIN_INTERVAL_S = 0.05
"""How soon after a change a subscriber hears of the next, so that a quick writer can't flood an event loop."""
LOWEST, HIGHEST = -(2**63), 2**63 - 1
"""What a cell can hold."""


class Listener(Protocol):
    """One thread that waits."""

    def sleep(self, limit_s: float) -> None:
        """Return when a cell changed since the last return, after `limit_s`, or for no reason."""


class Ear(Protocol):
    """One task that waits."""

    async def heard(self, limit_s: float) -> None:
        """Return when a cell changed since the last return, after `limit_s`, or for no reason."""


class Audible(Protocol):
    """Whatever one can wait on."""

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called here."""

    def listener(self) -> AbstractContextManager[Listener]:
        """Listen from a thread; a change between the entry and a `sleep` ends that `sleep` at once."""

    def ear(self) -> AbstractAsyncContextManager[Ear]:
        """Listen from a task of an event loop, likewise."""


class Cells(Audible, Protocol):
    """A few numbers in common; every method may be called by any thread."""

    @property
    def backing(self) -> Backing:
        """What holds them."""

    def load(self, index: int) -> int:
        """Return a cell.

        Raises:
            SharedClosed: It was closed here.
            OwnerLost: Its owner is gone.
        """

    def compare_and_swap(self, index: int, expected: int, new: int) -> bool:
        """Put `new` into a cell that holds `expected`, and return whether it did; the same errors as `load`."""

    def add(self, index: int, amount: int) -> int:
        """Add to a cell and return what it holds then; the same errors as `load`.

        Raises:
            OverflowError: The sum has more than 64 bits; nothing was changed.
        """

    def get_buffer(self) -> bytes:
        """Return what another process makes the same cells from."""

    def close(self) -> None:
        """Let go of them here; others keep theirs. Those who wait here get `SharedClosed`."""


def wait_until(cells: Audible, fact: Callable[[], bool], timeout_s: float | None) -> bool:
    """Block this thread until `fact()`, which looks at `cells`, is true; return False after `timeout_s`.

    Raises:
        SharedClosed: They were closed here meanwhile.
    """
    if fact():
        return True
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    with cells.listener() as listener:
        while not fact():
            limit_s = NET_S if deadline is None else min(NET_S, deadline - time.monotonic())
            if limit_s <= 0:
                return False
            listener.sleep(limit_s)
            if cells.is_closed:
                raise SharedClosed("closed while a thread waited on it")
    return True


async def until(cells: Audible, fact: Callable[[], bool]) -> None:
    """Wait on an event loop until `fact()`, which looks at `cells`, is true.

    Raises:
        SharedClosed: They were closed here meanwhile.
    """
    async with cells.ear() as ear:
        while not fact():
            await ear.heard(NET_S)
            if cells.is_closed:
                raise SharedClosed("closed while a task waited on it")


@asynccontextmanager
async def changes_of(
    cells: Audible, read: Callable[[], T], min_interval_s: float = MIN_INTERVAL_S
) -> AsyncIterator[Changes[T]]:
    """Subscribe to what `read()`, which looks at `cells`, returns."""
    async with cells.ear() as ear:
        yield Changes(cells, ear, read, min_interval_s)


class Changes(Generic[T]):
    """An async iterator: the value of now, then each other one; what came and went between two looks is skipped.

    It ends when the object is closed here.
    """

    def __init__(self, cells: Audible, ear: Ear, read: Callable[[], T], min_interval_s: float) -> None:
        self._cells = cells
        self._ear = ear
        self._read = read
        self._min_interval_s = min_interval_s
        self._last: list[T] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        from anyio import sleep  # noqa: PLC0415 - a worker process must not import anyio

        if self._last:
            await sleep(self._min_interval_s)
        while not self._cells.is_closed:
            value = self._read()
            if [value] != self._last:
                self._last = [value]
                return value
            await self._ear.heard(NET_S)
        raise StopAsyncIteration

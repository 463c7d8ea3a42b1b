"""A yes or no that processes wait on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from workers.shared.cells import MIN_INTERVAL_S, changes_of, until, wait_until
from workers.shared.shared_object import SharedObject

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from workers.shared.cells import Backing, Changes

_STATE = 0


class SharedFlag(SharedObject):
    """A flag; cleared at first."""

    _kind: ClassVar[int] = 2

    def __init__(self, *, is_set: bool = False, backing: Backing | None = None) -> None:
        """Make one that others can be given.

        Raises:
            SharedRefused: This `backing` is not to be had here.
        """
        super().__init__([int(is_set)], backing)

    @property
    def is_set(self) -> bool:
        """Whether it is set now."""
        return self._cells.load(_STATE) != 0

    def set(self) -> bool:
        """Set it, and return whether this call did: of several at once, one does."""
        return self._cells.compare_and_swap(_STATE, 0, 1)

    def clear(self) -> bool:
        """Clear it, and return whether this call did."""
        return self._cells.compare_and_swap(_STATE, 1, 0)

    def toggle(self) -> bool:
        """Set it if it is clear and clear it if it is set; return what this call made of it."""
        while True:
            before = self._cells.load(_STATE)
            if self._cells.compare_and_swap(_STATE, before, 1 - before):
                return before == 0

    def wait(self, timeout_s: float | None = None, *, is_set: bool = True) -> bool:
        """Block this thread until it is set (or clear); return False if it was not within `timeout_s`.

        A flag that is set and cleared again at once may be missed.

        Raises:
            SharedClosed: It was closed here meanwhile.
            OwnerLost: Its owner is gone.
        """
        return wait_until(self._cells, lambda: self.is_set is is_set, timeout_s)

    async def until(self, *, is_set: bool = True) -> None:
        """Wait on an event loop until it is set (or clear); errors as `wait`."""
        await until(self._cells, lambda: self.is_set is is_set)

    def subscribe(
        self, *, min_interval_s: float = MIN_INTERVAL_S
    ) -> AbstractAsyncContextManager[Changes[bool]]:
        """Follow it: `async with flag.subscribe() as states: async for is_set in states`."""
        return changes_of(self._cells, lambda: self.is_set, min_interval_s)

"""A whole number that processes count with."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from workers.shared.cells import HIGHEST, LOWEST, MIN_INTERVAL_S, changes_of
from workers.shared.shared_object import SharedObject

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from workers.shared.cells import Backing, Changes

_VALUE = 0


class SharedCounter(SharedObject):
    """A whole number of 64 bits, with a sign."""

    _kind: ClassVar[int] = 1

    def __init__(self, value: int = 0, *, backing: Backing | None = None) -> None:
        """Make one that others can be given.

        Raises:
            OverflowError: `value` has more than 64 bits.
            SharedRefused: This `backing` is not to be had here.
        """
        if not LOWEST <= value <= HIGHEST:
            raise OverflowError(f"{value} has more than 64 bits")
        super().__init__([value], backing)

    @property
    def value(self) -> int:
        """What it is now."""
        return self._cells.load(_VALUE)

    def add(self, amount: int = 1) -> int:
        """Add and return the sum; every other `add` comes wholly before or after this one.

        Raises:
            OverflowError: The sum has more than 64 bits; nothing was changed.
            SharedClosed, OwnerLost: It is not there any more.
        """
        return self._cells.add(_VALUE, amount)

    def subtract(self, amount: int = 1) -> int:
        """Take away and return the difference; errors as `add`."""
        return self._cells.add(_VALUE, -amount)

    def compare_and_swap(self, expected: int, new: int) -> bool:
        """Make it `new` if it is `expected`, and return whether it was.

        Raises:
            OverflowError: `new` has more than 64 bits; nothing was changed.
            SharedClosed, OwnerLost: It is not there any more.
        """
        if not LOWEST <= new <= HIGHEST:
            raise OverflowError(f"{new} has more than 64 bits")
        if not LOWEST <= expected <= HIGHEST:
            return False
        return self._cells.compare_and_swap(_VALUE, expected, new)

    def subscribe(
        self, *, min_interval_s: float = MIN_INTERVAL_S
    ) -> AbstractAsyncContextManager[Changes[int]]:
        """Follow the value: `async with counter.subscribe() as values: async for value in values`."""
        return changes_of(self._cells, lambda: self.value, min_interval_s)

"""How far several workers are with one job.

Two numbers belong together, `done` and `total`, and a `reset` changes both, but a cell is changed alone, and whoever
resets may be killed in between. So each holds the number of its run beside it, and what an `add` meets decides:

- both of one run: that is the state;
- `total` one run ahead: a reset was begun and not ended. Whoever comes next ends it, by starting `done` of that run
  at 0. An `add` of the old run that was under way then changes nothing of the new one, for its swap fails.

The functions up to `SharedProgress` are pure; a test steps several users through them in every order, each killed
after every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workers.shared.cells import MIN_INTERVAL_S, changes_of
from workers.shared.shared_object import SharedObject

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from workers.shared.cells import Backing, Cells, Changes

DONE, TOTAL = 0, 1
_AMOUNT_BITS = 48
_AMOUNTS = (1 << _AMOUNT_BITS) - 1
_RUNS_COUNT = 1 << 15
"""Runs are numbered round; a user would have to sleep through so many resets within one `add` to take one for another."""
MAX_AMOUNT = _AMOUNTS - 1
"""The most that can be to do: 256 TiB, if it is bytes."""


@dataclass(frozen=True, slots=True)
class ProgressState:
    """How far it is."""

    done: int
    total: int | None
    """None while nobody knows."""

    @property
    def percent(self) -> float | None:
        """From 0.0 to 100.0; None while nobody knows the total."""
        if self.total is None:
            return None
        return min(100.0, 100.0 * self.done / self.total) if self.total else 100.0


def word(run: int, amount: int) -> int:
    """Return what a cell holds."""
    return (run % _RUNS_COUNT) << _AMOUNT_BITS | amount


def run_of(cell: int) -> int:
    """Return the number of its run."""
    return cell >> _AMOUNT_BITS


def amount_of(cell: int) -> int:
    """Return the amount."""
    return cell & _AMOUNTS


def total_code(total: int | None) -> int:
    """Return what stands for a total, 0 for none.

    Raises:
        ValueError: It is negative or too large.
    """
    if total is None:
        return 0
    if not 0 <= total <= MAX_AMOUNT:
        raise ValueError(f"a total is from 0 to {MAX_AMOUNT}, not {total}")
    return total + 1


def state_of(done: int, total: int) -> ProgressState:
    """Return what two cells of one run say."""
    code = amount_of(total)
    return ProgressState(amount_of(done), code - 1 if code else None)


def settled(cells: Cells) -> tuple[int, int]:
    """Return both cells as they are of one run, after ending a reset that was begun."""
    while True:
        done, total = cells.load(DONE), cells.load(TOTAL)
        if run_of(done) == run_of(total):
            return done, total
        if run_of(total) == (run_of(done) + 1) % _RUNS_COUNT:
            cells.compare_and_swap(DONE, done, word(run_of(total), 0))


def add(cells: Cells, amount: int) -> ProgressState:
    """Add to what is done.

    Raises:
        OverflowError: The sum is negative or too large; nothing was changed.
    """
    while True:
        done, total = settled(cells)
        new = amount_of(done) + amount
        if not 0 <= new <= MAX_AMOUNT:
            raise OverflowError(f"done is from 0 to {MAX_AMOUNT}, not {new}")
        after = word(run_of(done), new)
        if cells.compare_and_swap(DONE, done, after):
            return state_of(after, total)


def set_total(cells: Cells, total: int | None) -> None:
    """Say how much there is to do in this run."""
    code = total_code(total)
    while True:
        _, before = settled(cells)
        if cells.compare_and_swap(TOTAL, before, word(run_of(before), code)):
            return


def reset(cells: Cells, total: int | None) -> None:
    """Begin another run; of several resets at once, each begins one."""
    code = total_code(total)
    while True:
        _, before = settled(cells)
        if cells.compare_and_swap(TOTAL, before, word(run_of(before) + 1, code)):
            settled(cells)
            return


class SharedProgress(SharedObject):
    """What is done of a total."""

    _kind: ClassVar[int] = 4

    def __init__(self, total: int | None = None, *, backing: Backing | None = None) -> None:
        """Make one that others can be given.

        Raises:
            ValueError: `total` is negative or above `MAX_AMOUNT`.
            SharedRefused: This `backing` is not to be had here.
        """
        super().__init__([word(0, 0), word(0, total_code(total))], backing)

    @property
    def state(self) -> ProgressState:
        """What is done, the total and the percentage, of one moment."""
        return state_of(*settled(self._cells))

    @property
    def done(self) -> int:
        """What is done."""
        return self.state.done

    @property
    def total(self) -> int | None:
        """What there is to do; None while nobody knows."""
        return self.state.total

    @property
    def percent(self) -> float | None:
        """From 0.0 to 100.0; None while nobody knows the total."""
        return self.state.percent

    def add(self, amount: int = 1) -> ProgressState:
        """Take note that `amount` more is done, and return how far it is.

        Raises:
            OverflowError: The sum is negative or above `MAX_AMOUNT`; nothing was changed.
            SharedClosed, OwnerLost: It is not there any more.
        """
        return add(self._cells, amount)

    def set_total(self, total: int | None) -> None:
        """Say how much there is to do; what is done stays.

        Raises:
            ValueError: It is negative or above `MAX_AMOUNT`.
            SharedClosed, OwnerLost: It is not there any more.
        """
        set_total(self._cells, total)

    def reset(self, total: int | None = None) -> None:
        """Begin anew: nothing done, of a new total; an `add` counts wholly before it or wholly after it."""
        reset(self._cells, total)

    def subscribe(
        self, *, min_interval_s: float = MIN_INTERVAL_S
    ) -> AbstractAsyncContextManager[Changes[ProgressState]]:
        """Follow it: `async with progress.subscribe() as states: async for state in states`."""
        return changes_of(self._cells, lambda: self.state, min_interval_s)

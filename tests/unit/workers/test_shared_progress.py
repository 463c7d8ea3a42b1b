"""A progress stays whole whatever comes between two steps of its users, a kill too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from workers.shared import progress

if TYPE_CHECKING:
    from workers.shared.cells import Cells


class Killed(Exception):
    """The user whose step this was is gone."""


class SteppedCells:
    """Cells that call back before each step of whoever uses them."""

    def __init__(self, cells: list[int]) -> None:
        self.cells = cells
        self.before_step: Callable[[], None] = lambda: None

    def load(self, index: int) -> int:
        self.before_step()
        return self.cells[index]

    def compare_and_swap(self, index: int, expected: int, new: int) -> bool:
        self.before_step()
        swapped = self.cells[index] == expected
        if swapped:
            self.cells[index] = new
        return swapped


OPERATIONS: dict[str, Callable[[Cells], Any]] = {
    "add": lambda cells: progress.add(cells, 3),
    "another add": lambda cells: progress.add(cells, 4),
    "total": lambda cells: progress.set_total(cells, 20),
    "reset": lambda cells: progress.reset(cells, 5),
    "another reset": lambda cells: progress.reset(cells, 6),
    "read": progress.settled,
}
RUN = (1 << 15) - 1  # the last one: the next is number 0 again


def new_cells() -> SteppedCells:
    return SteppedCells([progress.word(RUN, 2), progress.word(RUN, progress.total_code(10))])


def state(cells: Any) -> progress.ProgressState:
    cells.before_step = lambda: None
    return progress.state_of(*progress.settled(cells))


MODEL: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "add": lambda done, total: (done + 3, total),
    "another add": lambda done, total: (done + 4, total),
    "total": lambda done, _: (done, 20),
    "reset": lambda *_: (0, 5),
    "another reset": lambda *_: (0, 6),
    "read": lambda done, total: (done, total),
}
"""What each operation means, by itself."""


def after(*names: str) -> progress.ProgressState:
    done, total = 2, 10
    for name in names:
        done, total = MODEL[name](done, total)
    return progress.ProgressState(done, total)


def run_until(cells: Any, name: str, step: int | None, then: Callable[[], None]) -> bool:
    """Run an operation and do `then` before its step number `step`; return whether it had so many."""
    steps_count = 0

    def before_step() -> None:
        nonlocal steps_count
        steps_count += 1
        if steps_count == step:
            cells.before_step = lambda: None
            then()
            cells.before_step = lambda: None

    cells.before_step = before_step
    try:
        OPERATIONS[name](cells)
    except Killed:
        return True
    return step is None or steps_count >= step


def killed() -> None:
    raise Killed


@pytest.mark.parametrize("first", OPERATIONS)
@pytest.mark.parametrize("second", OPERATIONS)
def test_two_users_at_once_come_out_as_one_after_the_other(first: str, second: str) -> None:
    for step in range(1, 20):
        cells: Any = new_cells()

        def other(cells: Any = cells) -> None:
            cells.before_step = lambda: None
            OPERATIONS[second](cells)

        if not run_until(cells, first, step, other):
            return
        assert state(cells) in {after(first, second), after(second, first)}, step
    pytest.fail("an operation takes 20 steps alone")


@pytest.mark.parametrize("first", OPERATIONS)
@pytest.mark.parametrize("second", OPERATIONS)
def test_a_user_killed_at_any_step_did_all_or_nothing_and_holds_up_nobody(first: str, second: str) -> None:
    for step in range(1, 20):
        cells: Any = new_cells()
        if not run_until(cells, first, step, killed):
            return
        run_until(cells, second, None, killed)
        assert state(cells) in {after(second), after(first, second)}, step
    pytest.fail("an operation takes 20 steps alone")


@pytest.mark.parametrize("victim", OPERATIONS)
@pytest.mark.parametrize("other", OPERATIONS)
def test_a_user_killed_in_the_middle_of_another_did_all_or_nothing(victim: str, other: str) -> None:
    for outer_step in range(1, 12):
        for inner_step in range(1, 12):
            cells: Any = new_cells()

            def be_killed(cells: Any = cells, step: int = inner_step) -> None:
                run_until(cells, victim, step, killed)

            run_until(cells, other, outer_step, be_killed)
            allowed = {after(other), after(victim, other), after(other, victim)}
            assert state(cells) in allowed, (outer_step, inner_step)


def test_an_amount_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    cells: Any = new_cells()
    for amount in (-3, progress.MAX_AMOUNT - 1):
        with pytest.raises(OverflowError, match="done is from 0"):
            progress.add(cells, amount)
    for total in (-1, progress.MAX_AMOUNT + 1):
        with pytest.raises(ValueError, match="a total is from 0"):
            progress.reset(cells, total)
    assert state(cells) == progress.ProgressState(2, 10)


@pytest.mark.parametrize(
    ("done", "total", "percent"),
    [
        (0, None, None),
        (0, 0, 100.0),
        (1, 4, 25.0),
        (4, 4, 100.0),
        (9, 4, 100.0),
        (0, progress.MAX_AMOUNT, 0.0),
    ],
)
def test_the_percentage_is_none_while_nobody_knows_the_total_and_never_above_a_hundred(
    done: int, total: int | None, percent: float | None
) -> None:
    assert progress.ProgressState(done, total).percent == percent


def test_the_largest_amounts_fit_beside_the_last_run() -> None:
    cells: Any = SteppedCells([progress.word(RUN, 0), progress.word(RUN, 0)])
    progress.set_total(cells, progress.MAX_AMOUNT)
    progress.add(cells, progress.MAX_AMOUNT)
    assert state(cells) == progress.ProgressState(progress.MAX_AMOUNT, progress.MAX_AMOUNT)
    assert max(cells.cells) < 2**63

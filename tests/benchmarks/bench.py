"""What the rows of the benchmark share: candidates on copies of one file, interleaved rounds, and the table they fill."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.benchmarks.ratios import versus
from tests.benchmarks.subject_process import SubjectProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.ratios import Better, Bound, Row
    from tests.benchmarks.sizes import Sizes

Figures = dict[str, float]


class Bench:
    """One run of the benchmark: its sizes, its files, and the rows so far."""

    def __init__(self, *, sizes: Sizes, folder: Path, source: Path) -> None:
        self.sizes = sizes
        self.rows: list[Row] = []
        self._folder = folder
        self._source = source

    def copy(self, owner: str) -> Path:
        """Return a fresh copy of the file in a folder of its own."""
        folder = self._folder / owner.replace(":", "-").replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        copy = folder / self._source.name
        shutil.copyfile(self._source, copy)
        return copy

    @contextmanager
    def candidates(self, *names: str) -> Iterator[dict[str, SubjectProcess]]:
        """Start the candidates, all of them before the first round, and end them after the last."""
        with ExitStack() as stack:
            yield {name: stack.enter_context(SubjectProcess(name, self.copy(name))) for name in names}

    def add(self, *rows: Row) -> None:
        """Put rows into the table."""
        self.rows.extend(rows)


def interleaved(
    benchmark: BenchmarkFixture, rounds: Mapping[str, Callable[[], Figures]], *, count: int
) -> dict[str, list[Figures]]:
    """Run all of `rounds` in turn, `count` times; the first one named is the one pytest-benchmark times.

    Everything runs once before that, unmeasured: caches, statements and branch predictors are warm for all alike.
    """
    figures: dict[str, list[Figures]] = {name: [] for name in rounds}
    hero, *others = rounds
    if count > 1:
        for run in rounds.values():
            run()

    def run_the_others() -> None:
        for name in others:
            figures[name].append(rounds[name]())

    benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark leaves it without types
        lambda: figures[hero].append(rounds[hero]()), setup=run_the_others, rounds=count
    )
    benchmark.extra_info["rounds"] = figures
    return figures


def compare(
    figures: Mapping[str, Sequence[Figures]],
    *,
    group: str,
    what: str,
    ours: str,
    peer: str,
    peer_name: str,
    key: str,
    unit: str,
    better: Better = "higher",
    floor: Bound | None = None,
    goal: Bound | None = None,
    note: str = "",
) -> Row:
    """Return the row of two candidates of the same rounds, by the figure named `key`."""
    return versus(
        group=group,
        what=what,
        ours=[figure[key] for figure in figures[ours]],
        peer_name=peer_name,
        peer=[figure[key] for figure in figures[peer]],
        unit=unit,
        better=better,
        floor=floor,
        goal=goal,
        note=note,
    )

"""What the rows of the benchmark share: candidates on copies of one file, interleaved rounds, and the table they fill."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import apsw

from tests.benchmarks.ratios import versus
from tests.benchmarks.subject_process import SubjectProcess
from tests.benchmarks.subjects.protocol import SCAN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.ratios import Better, Bound, Row
    from tests.benchmarks.sizes import Sizes

Figures = dict[str, float]

_PROBE_STEPS = 1_000_000


class Bench:
    """One run of the benchmark: its sizes, its files, and the rows so far."""

    def __init__(
        self, *, sizes: Sizes, folder: Path, make_source: Callable[[Path], None], fdatasync_us: float
    ) -> None:
        self.sizes = sizes
        self.fdatasync_us = fdatasync_us
        self.rows: list[Row] = []
        self._candidates: dict[str, SubjectProcess] = {}
        self.scan_steps = _scan_steps(sizes.scan_s)
        """Numbers that one scan counts."""
        self._folder = folder
        self._source = folder / "bench.db"
        self._make_source = make_source

    def folder(self, owner: str) -> Path:
        """Return an empty folder, on the disk that is measured."""
        folder = self._folder / owner.replace(":", "-").replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def copy(self, owner: str) -> Path:
        """Return a fresh copy of the file in a folder of its own."""
        if not self._source.exists():
            self._make_source(self._source)
        copy = self.folder(owner) / self._source.name
        shutil.copyfile(self._source, copy)
        return copy

    def candidates(self, *names: str) -> dict[str, SubjectProcess]:
        """Return the candidates, started before the first round; they stay for the tests that follow, idle meanwhile."""
        for name in names:
            if name not in self._candidates:
                self._candidates[name] = SubjectProcess(name, self.copy(name))
                self._candidates[name].__enter__()
        return {name: self._candidates[name] for name in names}

    def end_candidates(self) -> None:
        """End all candidates."""
        for candidate in self._candidates.values():
            candidate.dismiss()
        while self._candidates:
            self._candidates.popitem()[1].close()

    def add(self, *rows: Row) -> None:
        """Put rows into the table."""
        self.rows.extend(rows)


def _scan_steps(seconds: float) -> int:
    """Return how far SQLite counts in `seconds` here and now."""
    connection = apsw.Connection(":memory:")
    try:
        begun = time.perf_counter()
        connection.execute(SCAN, (_PROBE_STEPS,)).fetchall()
        return int(_PROBE_STEPS * seconds / (time.perf_counter() - begun))
    finally:
        connection.close()


def interleaved(
    benchmark: BenchmarkFixture,
    rounds: Mapping[str, Callable[[], Figures]],
    *,
    count: int,
    warms: bool = True,
) -> dict[str, list[Figures]]:
    """Run all of `rounds` in turn, `count` times; the first one named is the one pytest-benchmark times.

    With `warms` everything runs once before that, unmeasured, so that caches and statements are warm for all alike.
    """
    figures: dict[str, list[Figures]] = {name: [] for name in rounds}
    hero, *others = rounds
    if warms and count > 1:
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

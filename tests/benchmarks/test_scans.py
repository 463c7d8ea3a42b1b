"""Point reads while every scan worker is busy with a long query: what one of them does to the p99 of the others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound
from tests.benchmarks.rows_file import ITEMS

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

_SCANS_COUNT = 2  # as many as there are workers: more than the scan lane of two takes at once


def test_point_reads_while_scans_run(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = ("ours:process", "ours:thread", "ours:inline", "aiosqlite")
    with bench.candidates(*names) as subjects:
        figures = interleaved(
            benchmark,
            {
                f"{name} {scans}": partial(
                    subjects[name].run,
                    "beside_scans",
                    table=ITEMS,
                    row_count=bench.sizes.item_count,
                    count=bench.sizes.scan_read_count,
                    every_s=bench.sizes.scan_read_every_s,
                    scans=scans,
                    scan_steps=bench.sizes.scan_steps,
                )
                for name in names
                for scans in (_SCANS_COUNT, 0)
            },
            count=min(2, bench.sizes.round_count),
        )
    budgets = {"ours:process": (Bound(limit=20, of="difference"), Bound(limit=5, of="difference"))}
    for name in names:
        floor, goal = budgets.get(name, (None, None))
        for key, label in (("p50_ms", "median"), ("p99_ms", "p99"), ("worst_ms", "worst")):
            judged = key == "p99_ms"
            bench.add(
                compare(
                    figures,
                    group=f"{bench.sizes.scan_read_count} point reads beside {_SCANS_COUNT} long scans",
                    what=f"{label} ({name.replace('ours:', '')})",
                    ours=f"{name} {_SCANS_COUNT}",
                    peer=f"{name} 0",
                    peer_name="without scans",
                    key=key,
                    unit="ms",
                    better="lower",
                    floor=floor if judged else None,
                    goal=goal if judged else None,
                )
            )

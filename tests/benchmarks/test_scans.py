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
    kinds = ("process", "thread", "inline")
    subjects = bench.candidates(*(f"ours:{kind}" for kind in kinds))
    figures = interleaved(
        benchmark,
        {
            f"{kind} {scans}": partial(
                subjects[f"ours:{kind}"].run, "beside_scans", table=ITEMS, row_count=bench.sizes.item_count,
                count=bench.sizes.scan_read_count, every_s=bench.sizes.scan_read_every_s, scans=scans,
                scan_steps=bench.scan_steps,
            )
            for kind in kinds
            for scans in (_SCANS_COUNT, 0)
        },
        count=min(2, bench.sizes.round_count),
        warms=False,
    )  # fmt: skip
    for kind in kinds:
        for key, label in (("p99_ms", "p99"), ("worst_ms", "worst")):
            judged = kind == "process" and key == "p99_ms"
            bench.add(
                compare(
                    figures,
                    group=f"{bench.sizes.scan_read_count} point reads beside {_SCANS_COUNT} scans of {bench.sizes.scan_s:g} s",
                    what=f"{kind}, {label}",
                    ours=f"{kind} {_SCANS_COUNT}",
                    peer=f"{kind} 0",
                    peer_name="without scans",
                    key=key,
                    unit="ms",
                    better="lower",
                    floor=Bound(limit=20, of="difference") if judged else None,
                    goal=Bound(limit=5, of="difference") if judged else None,
                )
            )

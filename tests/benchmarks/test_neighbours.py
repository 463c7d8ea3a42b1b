"""What one tenant does to another: to the p99 of its point reads, and to the write-ahead log."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound, Row
from tests.benchmarks.rows_file import ITEMS

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

_CALLERS_COUNT = 64
_BOUND_MIB = 16  # what the candidate sets as `max_wal_bytes`


def test_point_reads_beside_a_heavy_neighbour(bench: Bench, benchmark: BenchmarkFixture) -> None:
    kinds = ("process", "thread")
    subjects = bench.candidates(*(f"neighbours:{kind}" for kind in kinds))
    figures = interleaved(
        benchmark,
        {
            f"{kind} {callers}": partial(
                subjects[f"neighbours:{kind}"].run, "beside_neighbour", table=ITEMS, row_count=bench.sizes.item_count,
                count=bench.sizes.scan_read_count, every_s=bench.sizes.scan_read_every_s, callers=callers,
            )
            for kind in kinds
            for callers in (_CALLERS_COUNT, 0)
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
                    group=f"point reads of one database beside {_CALLERS_COUNT} callers of another that page and scan",
                    what=f"{kind}, {label}",
                    ours=f"{kind} {_CALLERS_COUNT}",
                    peer=f"{kind} 0",
                    peer_name="without the neighbour",
                    key=key,
                    unit="ms",
                    better="lower",
                    floor=Bound(limit=50, of="difference") if judged else None,
                    goal=Bound(limit=20, of="difference") if judged else None,
                )
            )


def test_the_log_behind_a_reader_that_is_always_there(bench: Bench, benchmark: BenchmarkFixture) -> None:
    written_mib = max(1, int(4 * _BOUND_MIB * min(1.0, bench.sizes.seconds * 2)))
    subject = bench.candidates("neighbours:process")["neighbours:process"]
    figures = interleaved(
        benchmark,
        {"log": partial(subject.run, "log_under_load", written_bytes=written_mib * 1024 * 1024)},
        count=1,
        warms=False,
    )
    (figure,) = figures["log"]
    bench.add(
        Row(
            group=f"{written_mib} MiB written behind a reader that is always there",
            what=f"longest write-ahead log ({figure['ended']:.0f} readers ended, {figure['mib_per_s']:.0f} MiB/s)",
            peer_name="",
            unit="MiB",
            better="lower",
            ours=figure["wal_mib"],
            floor=Bound(limit=_BOUND_MIB + 1, of="ours"),
        )
    )

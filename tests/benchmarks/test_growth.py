"""What the same call costs as the table grows from 10^4 to 10^7 rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks import growth_file
from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound, Row
from tests.benchmarks.subject_process import SubjectProcess

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

_BUILD_S = 60.0
_FLAT = Bound(limit=0.8)
_FLOOR_COUNT = 1_000_000
_WHAT = {"read": ("point reads", 1_000), "page": ("50-row keyset pages", 1_000), "insert": ("inserts", 100)}


def test_cost_as_the_table_grows(bench: Bench, benchmark: BenchmarkFixture) -> None:
    path = bench.folder("growth") / "growth.db"
    made = growth_file.create(path, bench.sizes.growth_counts, limit_s=_BUILD_S)
    smallest, *larger = bench.sizes.growth_counts
    try:
        with SubjectProcess("growth:process", path) as subject:
            figures = interleaved(
                benchmark,
                {
                    f"{what} {count}": partial(
                        subject.run, "grown", what=what, row_count=count, seconds=bench.sizes.seconds,
                        in_flight=in_flight,
                    )
                    for what, (_, in_flight) in _WHAT.items()
                    for count in made
                },
                count=min(3, bench.sizes.round_count),
            )  # fmt: skip
    finally:
        path.unlink()
    for what, (named, in_flight) in _WHAT.items():
        for count in larger:
            group = "cost growth: flat is taken to be at least 0.8x"
            label = f"{named}, {in_flight:,} callers, {count:,} rows"
            if count not in made:
                note = f"not built within {_BUILD_S:g} s"
                bench.add(Row(group=group, what=label, peer_name="", unit="/s", goal=_FLAT, note=note))
                continue
            bench.add(
                compare(
                    figures,
                    group=group,
                    what=label,
                    ours=f"{what} {count}",
                    peer=f"{what} {smallest}",
                    peer_name=f"{smallest:,} rows",
                    key="per_s",
                    unit="/s",
                    floor=_FLAT if count <= _FLOOR_COUNT else None,
                    goal=_FLAT,
                    note="rows of three integers, with an index in whose midst an insert goes",
                )
            )

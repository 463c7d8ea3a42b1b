"""Durable writes: every caller's row is on disk before it goes on, `synchronous=FULL` for all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench


def test_durable_writes(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = ("ours:process", "ours:thread", "ours:inline", "aiosqlite", "apsw.aio")
    counts = (100, 1_000)
    subjects = bench.candidates(*names)
    figures = interleaved(
        benchmark,
        {
            f"{name} {count}": partial(
                subjects[name].run, "writes", seconds=bench.sizes.seconds, in_flight=count
            )
            for count in counts
            for name in names
        },
        count=bench.sizes.round_count,
    )
    for count in counts:
        for kind in ("process", "thread", "inline"):
            for peer in ("aiosqlite", "apsw.aio"):
                judged = count == counts[0] and kind == "process" and peer == "aiosqlite"
                bench.add(
                    compare(
                        figures,
                        group=f"durable writes, FULL, beside an fdatasync of {bench.fdatasync_us:,.0f} us",
                        what=f"{count:,} callers, {kind}",
                        ours=f"ours:{kind} {count}",
                        peer=f"{peer} {count}",
                        peer_name=f"{peer}, a commit each",
                        key="per_s",
                        unit="/s",
                        floor=Bound(limit=4) if judged else None,
                        goal=Bound(limit=5) if judged else None,
                    )
                )

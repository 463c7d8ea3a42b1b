"""Durable writes: every caller's row is on disk before it goes on, `synchronous=FULL` for all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.bulk import by_apsw, by_import, made_rows
from tests.benchmarks.ratios import Bound

if TYPE_CHECKING:
    from pathlib import Path

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


def test_bulk_inserts(bench: Bench, benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    content = made_rows(bench.sizes.item_count)
    ways = {"whole": True, "line by line": False}
    figures = interleaved(
        benchmark,
        {
            **{
                what: partial(by_import, content, tmp_path / "ours.db", is_whole=is_whole)
                for what, is_whole in ways.items()
            },
            "apsw": partial(by_apsw, content, tmp_path / "apsw.db"),
        },
        count=bench.sizes.round_count,
    )
    for what in ways:
        bench.add(
            compare(
                figures,
                group="NDJSON into a table with an index, rows of five columns",
                what=f"{len(content.splitlines()):,} rows, {what}",
                ours=what,
                peer="apsw",
                peer_name="apsw on the loop: msgspec, executemany, one commit",
                key="per_s",
                unit="/s",
                floor=Bound(limit=0.5),
                goal=Bound(limit=0.8),
                note="goal: 300,000 rows/s",
            )
        )

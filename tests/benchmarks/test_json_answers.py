"""Answers as JSON: 50-row pages, and 100,000 rows with the longest stall of the event loop beside."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound
from tests.benchmarks.rows_file import ITEMS, LOOSE_ITEMS

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

_FOUR = 4


def test_pages_of_fifty_rows(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = (
        "ours:process",
        "ours:thread",
        "ours:inline",
        "aiosqlite",
        "aiosqlite-fetchall",
        "apsw.aio",
        "apsw-on-loop",
    )
    with bench.candidates(*names) as subjects:
        figures = interleaved(
            benchmark,
            {
                name: partial(
                    subjects[name].run,
                    "pages",
                    table=ITEMS,
                    row_count=bench.sizes.item_count,
                    seconds=bench.sizes.seconds,
                    in_flight=1_000,
                )
                for name in names
            },
            count=bench.sizes.round_count,
        )
    peers = {
        "aiosqlite": ("aiosqlite + orjson", Bound(limit=5), Bound(limit=6)),
        "aiosqlite-fetchall": ("aiosqlite, one hop + orjson", None, None),
        "apsw.aio": ("apsw.aio + orjson", None, None),
        "ours:inline": ("ours inline", None, Bound(limit=1.3)),
        "apsw-on-loop": ("bare apsw on the loop + orjson", None, None),
    }
    for kind in ("process", "thread", "inline"):
        for peer, (peer_name, floor, goal) in peers.items():
            if peer == f"ours:{kind}":
                continue
            judged = kind == "process"
            bench.add(
                compare(
                    figures,
                    group="50-row page as JSON, 1,000 in flight",
                    what=f"{kind} pool" if kind != "inline" else "inline",
                    ours=f"ours:{kind}",
                    peer=peer,
                    peer_name=peer_name,
                    key="per_s",
                    unit="/s",
                    floor=floor if judged else None,
                    goal=goal if judged else None,
                )
            )


def test_large_answers_and_the_longest_stall_of_the_loop(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = ("ours:process", "ours:thread", "ours:inline", "aiosqlite", "apsw.aio")
    shapes = {"proven": (ITEMS, 1), "guarded": (LOOSE_ITEMS, 1), "four at once": (ITEMS, _FOUR)}
    with bench.candidates(*names) as subjects:
        figures = interleaved(
            benchmark,
            {
                f"{name} {shape}": partial(
                    subjects[name].run, "large", table=on, row_count=bench.sizes.large_count, at_once=at_once
                )
                for name in names
                for shape, (on, at_once) in shapes.items()
            },
            count=min(3, bench.sizes.round_count),
        )
    rows = f"{bench.sizes.large_count:,} rows"
    budgets = {
        "proven": (Bound(limit=3), Bound(limit=4), Bound(limit=10, of="ours"), Bound(limit=2, of="ours")),
        "guarded": (Bound(limit=3), None, Bound(limit=10, of="ours"), Bound(limit=2, of="ours")),
        "four at once": (None, Bound(limit=15), Bound(limit=10, of="ours"), Bound(limit=5, of="ours")),
    }
    for kind in ("process", "thread"):
        for shape, (time_floor, time_goal, stall_floor, stall_goal) in budgets.items():
            for peer in ("aiosqlite", "apsw.aio", "ours:inline"):
                judged = kind == "process" and peer == "aiosqlite"
                for key, label, floor, goal in (
                    ("ms", "time", time_floor, time_goal),
                    ("stall_ms", "longest stall", stall_floor, stall_goal),
                ):
                    bench.add(
                        compare(
                            figures,
                            group=f"{rows} as JSON",
                            what=f"{shape}, {label} ({kind})",
                            ours=f"ours:{kind} {shape}",
                            peer=f"{peer} {shape}",
                            peer_name=f"{peer} + orjson" if peer != "ours:inline" else "ours inline",
                            key=key,
                            unit="ms",
                            better="lower",
                            floor=floor if judged else None,
                            goal=goal if judged else None,
                        )
                    )

"""Answers as JSON: 50-row pages, and 100,000 rows with the longest stall of the event loop beside."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound, versus
from tests.benchmarks.rows_file import ITEMS, LOOSE_ITEMS

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

_IN_FLIGHT = 1_000
_FOUR = 4


def test_pages_of_fifty_rows(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = (
        "ours:process", "ours:thread", "ours:inline", "aiosqlite", "aiosqlite-fetchall", "apsw.aio", "apsw-on-loop",
    )  # fmt: skip
    subjects = bench.candidates(*names)
    figures = interleaved(
        benchmark,
        {
            name: partial(
                subjects[name].run, "pages", table=ITEMS, row_count=bench.sizes.item_count,
                seconds=bench.sizes.seconds, in_flight=_IN_FLIGHT,
            )
            for name in names
        },
        count=bench.sizes.round_count,
    )  # fmt: skip
    rows: tuple[tuple[str, str, str, Bound | None, Bound | None], ...] = (
        ("process", "aiosqlite", "aiosqlite + orjson", Bound(limit=5), Bound(limit=6)),
        ("process", "aiosqlite-fetchall", "aiosqlite, one hop + orjson", None, None),
        ("process", "apsw.aio", "apsw.aio + orjson", None, None),
        ("process", "ours:inline", "ours inline", None, Bound(limit=1.3)),
        ("process", "apsw-on-loop", "bare apsw on the loop + orjson", None, None),
        ("thread", "aiosqlite", "aiosqlite + orjson", None, None),
        ("thread", "ours:inline", "ours inline", None, None),
        ("inline", "aiosqlite", "aiosqlite + orjson", None, None),
    )
    for kind, peer, peer_name, floor, goal in rows:
        bench.add(
            compare(
                figures,
                group="50-row page as JSON, 1,000 in flight",
                what=kind,
                ours=f"ours:{kind}",
                peer=peer,
                peer_name=peer_name,
                key="per_s",
                unit="/s",
                floor=floor,
                goal=goal,
            )
        )


def test_large_answers_and_the_longest_stall_of_the_loop(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = ("ours:process", "ours:thread", "ours:inline", "aiosqlite", "apsw.aio")
    shapes = {
        "proven columns": (ITEMS, 1),
        "guarded columns": (LOOSE_ITEMS, 1),
        "four at once": (ITEMS, _FOUR),
    }
    subjects = bench.candidates(*names)
    figures = interleaved(
        benchmark,
        {
            f"{name} {shape}": partial(
                subjects[name].run, "large", table=table, row_count=bench.sizes.large_count, at_once=at_once
            )
            for name in names
            for shape, (table, at_once) in shapes.items()
        },
        count=min(3, bench.sizes.round_count),
    )
    group = f"{bench.sizes.large_count:,} rows as JSON"
    ten_ms, five_ms, two_ms = (Bound(limit=limit, of="ours") for limit in (10, 5, 2))
    budgets = {
        "proven columns": (Bound(limit=3), Bound(limit=4), ten_ms, two_ms),
        "guarded columns": (Bound(limit=3), None, ten_ms, two_ms),
        "four at once": (None, Bound(limit=15), ten_ms, five_ms),
    }
    for shape, (time_floor, time_goal, stall_floor, stall_goal) in budgets.items():
        for key, label, floor, goal in (
            ("ms", "", time_floor, time_goal),
            ("stall_ms", ", longest stall", stall_floor, stall_goal),
        ):
            for kind, peer in (
                ("process", "aiosqlite"),
                ("process", "apsw.aio"),
                ("process", "ours:inline"),
                ("thread", "aiosqlite"),
            ):
                judged = kind == "process" and peer == "aiosqlite"
                bench.add(
                    compare(
                        figures,
                        group=group,
                        what=f"{shape}, {kind}{label}",
                        ours=f"ours:{kind} {shape}",
                        peer=f"{peer} {shape}",
                        peer_name="ours inline" if peer == "ours:inline" else f"{peer} + orjson",
                        key=key,
                        unit="ms",
                        better="lower",
                        floor=floor if judged else None,
                        goal=goal if judged else None,
                    )
                )
    bench.add(
        versus(
            group=group,
            what="the same ticker while nothing runs",
            ours=[max(figure["idle_stall_ms"] for figure in rounds) for rounds in figures.values()],
            peer_name="",
            peer=[],
            unit="ms",
            better="lower",
            note="the noise of this machine: a stall below it says nothing",
        )
    )

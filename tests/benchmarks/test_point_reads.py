"""Single rows, by primary key: throughput, latency of a lone one, number of workers, size of the table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound
from tests.benchmarks.rows_file import ITEMS, growth_table

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

CURSOR_NOTE = "aiosqlite as documented: `async with db.execute()`, three hops; budgets were set against it"
HELPER_NOTE = "aiosqlite's one-hop helper `execute_fetchall`"


def test_point_reads_with_a_thousand_in_flight(bench: Bench, benchmark: BenchmarkFixture) -> None:
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
                    "point_reads",
                    table=ITEMS,
                    row_count=bench.sizes.item_count,
                    seconds=bench.sizes.seconds,
                    in_flight=1_000,
                )
                for name in names
            },
            count=bench.sizes.round_count,
        )
    group = "point reads, 1,000 in flight"
    budgets = {
        "aiosqlite": ("aiosqlite", Bound(limit=10), Bound(limit=15), CURSOR_NOTE),
        "aiosqlite-fetchall": ("aiosqlite, one hop", None, None, HELPER_NOTE),
        "apsw.aio": ("apsw.aio", None, None, ""),
        "ours:inline": ("ours inline", None, Bound(limit=0.6), ""),
        "apsw-on-loop": ("bare apsw on the loop", None, None, ""),
    }
    for kind in ("process", "thread", "inline"):
        for peer, (peer_name, floor, goal, note) in budgets.items():
            if peer == f"ours:{kind}":
                continue
            judged = kind == "process"  # the default kind carries the budget, the others stand beside it
            bench.add(
                compare(
                    figures,
                    group=group,
                    what=f"{kind} pool" if kind != "inline" else "inline",
                    ours=f"ours:{kind}",
                    peer=peer,
                    peer_name=peer_name,
                    key="per_s",
                    unit="/s",
                    floor=floor if judged else None,
                    goal=goal if judged else None,
                    note=note,
                )
            )


def test_latency_of_a_lone_read(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = ("ours:process", "ours:thread", "ours:inline", "aiosqlite", "apsw.aio")
    with bench.candidates(*names) as subjects:
        figures = interleaved(
            benchmark,
            {
                name: partial(
                    subjects[name].run,
                    "lone",
                    table=ITEMS,
                    row_count=bench.sizes.item_count,
                    count=bench.sizes.lone_count,
                )
                for name in names
            },
            count=bench.sizes.round_count,
        )
    pairs = [
        ("process", "ours:inline"),
        ("thread", "ours:inline"),
        ("process", "aiosqlite"),
        ("process", "apsw.aio"),
    ]
    for kind, peer in pairs:
        for key, label in (("us", "median"), ("p99_us", "p99")):
            bench.add(
                compare(
                    figures,
                    group="a lone point read",
                    what=f"{kind} pool, {label}",
                    ours=f"ours:{kind}",
                    peer=peer,
                    peer_name=peer.replace("ours:", "ours "),
                    key=key,
                    unit="us",
                    better="lower",
                )
            )


def test_throughput_over_one_two_and_four_workers(bench: Bench, benchmark: BenchmarkFixture) -> None:
    kinds = ("process", "thread")
    names = tuple(f"ours:{kind}:{count}" for kind in kinds for count in (2, 1, 4))
    with bench.candidates(*names) as subjects:
        reads, pages = (
            {
                name: partial(
                    subjects[name].run,
                    workload,
                    table=ITEMS,
                    row_count=bench.sizes.item_count,
                    seconds=bench.sizes.seconds,
                    in_flight=1_000,
                )
                for name in names
            }
            for workload in ("point_reads", "pages")
        )
        both = {f"{name} point reads": run for name, run in reads.items()}
        both |= {f"{name} pages": run for name, run in pages.items()}
        figures = interleaved(benchmark, both, count=bench.sizes.round_count)
    for what in ("point reads", "pages"):
        for kind in kinds:
            for count in (2, 4):
                bench.add(
                    compare(
                        figures,
                        group="more workers, 1,000 in flight",
                        what=f"{what}, {count} workers ({kind})",
                        ours=f"ours:{kind}:{count} {what}",
                        peer=f"ours:{kind}:1 {what}",
                        peer_name="1 worker",
                        key="per_s",
                        unit="/s",
                    )
                )


def test_cost_of_a_read_as_the_table_grows(bench: Bench, benchmark: BenchmarkFixture) -> None:
    counts = bench.sizes.growth_counts
    with bench.candidates("ours:process") as subjects:
        figures = interleaved(
            benchmark,
            {
                str(count): partial(
                    subjects["ours:process"].run,
                    "point_reads",
                    table=growth_table(count),
                    row_count=count,
                    seconds=bench.sizes.seconds,
                    in_flight=1_000,
                )
                for count in counts
            },
            count=bench.sizes.round_count,
        )
    smallest, *larger = counts
    for count in larger:
        bench.add(
            compare(
                figures,
                group="cost growth",
                what=f"point reads, {count:,} rows",
                ours=str(count),
                peer=str(smallest),
                peer_name=f"{smallest:,} rows",
                key="per_s",
                unit="/s",
                floor=Bound(limit=0.8),
                note="flat: at least 0.8x",
            )
        )

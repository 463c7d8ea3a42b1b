"""Single rows, by primary key: throughput, latency of a lone one, number of workers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound
from tests.benchmarks.rows_file import ITEMS

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

IN_FLIGHT = 1_000
CURSOR_NOTE = "aiosqlite as its documentation shows it, three hops a read: what the budgets were set against"
HELPER_NOTE = "aiosqlite's one-hop helper `execute_fetchall`"


def test_point_reads_with_a_thousand_in_flight(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = (
        "ours:process", "ours:thread", "ours:inline", "aiosqlite", "aiosqlite-fetchall", "apsw.aio", "apsw-on-loop",
    )  # fmt: skip
    subjects = bench.candidates(*names)
    figures = interleaved(
        benchmark,
        {
            name: partial(
                subjects[name].run, "point_reads", table=ITEMS, row_count=bench.sizes.item_count,
                seconds=bench.sizes.seconds, in_flight=IN_FLIGHT,
            )
            for name in names
        },
        count=bench.sizes.round_count,
    )  # fmt: skip
    rows: tuple[tuple[str, str, str, Bound | None, Bound | None, str], ...] = (
        ("process", "aiosqlite", "aiosqlite", Bound(limit=10), Bound(limit=15), CURSOR_NOTE),
        ("process", "aiosqlite-fetchall", "aiosqlite, one hop", None, None, HELPER_NOTE),
        ("process", "apsw.aio", "apsw.aio", None, None, ""),
        ("process", "ours:inline", "ours inline", None, Bound(limit=0.6), ""),
        ("process", "apsw-on-loop", "bare apsw on the loop", None, None, ""),
        ("thread", "aiosqlite", "aiosqlite", None, None, ""),
        ("thread", "ours:inline", "ours inline", None, None, ""),
        ("inline", "aiosqlite", "aiosqlite", None, None, ""),
        ("inline", "apsw-on-loop", "bare apsw on the loop", None, None, ""),
    )
    for kind, peer, peer_name, floor, goal, note in rows:
        bench.add(
            compare(
                figures,
                group="point reads, 1,000 in flight",
                what=kind,
                ours=f"ours:{kind}",
                peer=peer,
                peer_name=peer_name,
                key="per_s",
                unit="/s",
                floor=floor,
                goal=goal,
                note=note,
            )
        )


def test_latency_of_a_lone_read(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = ("ours:process", "ours:thread", "ours:inline", "aiosqlite", "apsw.aio")
    subjects = bench.candidates(*names)
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
    for kind, peer in (
        ("process", "ours:inline"),
        ("thread", "ours:inline"),
        ("process", "aiosqlite"),
        ("process", "apsw.aio"),
    ):
        for key, label in (("us", "median"), ("p99_us", "p99")):
            bench.add(
                compare(
                    figures,
                    group="a lone point read",
                    what=f"{kind}, {label}",
                    ours=f"ours:{kind}",
                    peer=peer,
                    peer_name=peer.replace("ours:", "ours "),
                    key=key,
                    unit="us",
                    better="lower",
                )
            )


def test_throughput_over_one_two_and_four_workers(bench: Bench, benchmark: BenchmarkFixture) -> None:
    kinds, counts = ("process", "thread"), (1, 2, 4)
    names = {
        (kind, count): f"ours:{kind}" + (f":{count}" if count != 2 else "")
        for kind in kinds
        for count in counts
    }
    subjects = bench.candidates(*names.values())
    workloads = {"point_reads": "point reads", "pages": "pages"}
    figures = interleaved(
        benchmark,
        {
            f"{name} {workload}": partial(
                subjects[name].run, workload, table=ITEMS, row_count=bench.sizes.item_count,
                seconds=bench.sizes.seconds, in_flight=IN_FLIGHT,
            )
            for workload in workloads
            for name in names.values()
        },
        count=min(3, bench.sizes.round_count),
    )  # fmt: skip
    for workload, what in workloads.items():
        for kind in kinds:
            for count in (2, 4):
                bench.add(
                    compare(
                        figures,
                        group="more workers, 1,000 in flight",
                        what=f"{what}, {kind}, {count} workers",
                        ours=f"{names[kind, count]} {workload}",
                        peer=f"{names[kind, 1]} {workload}",
                        peer_name="1 worker",
                        key="per_s",
                        unit="/s",
                    )
                )

"""Pools of workers beside those of the peers: round trips by size, starts, scaling, small operations, cancelling."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound, Row, versus

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

KIB, MIB = 1024, 1024 * 1024
SIZES = ((0, "0 B"), (KIB, "1 KiB"), (64 * KIB, "64 KiB"), (MIB, "1 MiB"), (16 * MIB, "16 MiB"))
PEERS = {
    "process": {
        "pool-executor:process": "concurrent.futures, processes",
        "pool-executor:loky": "loky",
        "pool-anyio": "anyio.to_process",
        "pool-aiomultiprocess": "aiomultiprocess",
    },
    "thread": {"pool-executor:thread": "concurrent.futures, threads"},
}
OURS = ("workers:process", "workers:thread", "workers:inline")
EVERYONE = (*OURS, *(peer for peers in PEERS.values() for peer in peers))
NOTE = "bytes go to a worker and come back, ours as buffers (mapped, where they come from a process), peers pickled"
IN_FLIGHT = 1_000


def _skip_beyond(bench: Bench, size: int) -> None:
    if size > bench.sizes.buffer_bytes:
        pytest.skip("a quick run sends no such buffers")


@pytest.mark.parametrize(("size", "what"), SIZES)
def test_a_lone_round_trip(bench: Bench, benchmark: BenchmarkFixture, size: int, what: str) -> None:
    _skip_beyond(bench, size)
    pools = bench.candidates(*EVERYONE)
    rounds = {
        name: partial(
            pool.run,
            "workers_lone",
            size=size,
            count=bench.sizes.lone_count,
            seconds=bench.sizes.pool_seconds,
        )
        for name, pool in pools.items()
    }
    if not size:
        rounds["bare"] = partial(pools["workers:process"].run, "bare_echo", count=bench.sizes.lone_count)
    figures = interleaved(benchmark, rounds, count=bench.sizes.pool_round_count)
    for kind, peers in PEERS.items():
        for peer, peer_name in peers.items():
            for key in ("p50_us", "p99_us"):
                is_goal = (size, kind, key) == (0, "process", "p50_us")
                bench.add(
                    compare(
                        figures,
                        group=f"workers: a lone round trip of {what}",
                        what=f"{kind}, {key.removesuffix('_us')}",
                        ours=f"workers:{kind}",
                        peer=peer,
                        peer_name=peer_name,
                        key=key,
                        unit="us",
                        better="lower",
                        goal=Bound(limit=60, of="ours") if is_goal else None,
                        note=NOTE,
                    )
                )
    if not size:
        bench.add(
            compare(
                figures,
                group=f"workers: a lone round trip of {what}",
                what="process, p50",
                ours="workers:process",
                peer="bare",
                peer_name="a byte over a bare socketpair",
                key="p50_us",
                unit="us",
                better="lower",
            )
        )
    bench.add(_inline(figures["workers:inline"], what))


def _inline(figures: list[dict[str, float]], what: str) -> Row:
    return versus(
        group=f"workers: a lone round trip of {what}",
        what="inline, p50",
        ours=[figure["p50_us"] for figure in figures],
        peer_name="its own p99",
        peer=[figure["p99_us"] for figure in figures],
        unit="us",
        better="lower",
    )


@pytest.mark.parametrize(("size", "what"), SIZES)
def test_many_round_trips_at_once(bench: Bench, benchmark: BenchmarkFixture, size: int, what: str) -> None:
    _skip_beyond(bench, size)
    in_flight = IN_FLIGHT if size <= KIB else 16 if size < MIB else 4
    pools = bench.candidates(*EVERYONE)
    figures = interleaved(
        benchmark,
        {
            name: partial(
                pool.run, "workers_many", size=size, seconds=bench.sizes.pool_seconds, in_flight=in_flight
            )
            for name, pool in pools.items()
        },
        count=bench.sizes.pool_round_count,
    )
    for kind, peers in PEERS.items():
        for peer, peer_name in peers.items():
            is_goal = (size, kind) == (0, "process")
            bench.add(
                compare(
                    figures,
                    group=f"workers: {in_flight:,} round trips of {what} at once, one worker",
                    what=f"{kind}, time for each",
                    ours=f"workers:{kind}",
                    peer=peer,
                    peer_name=peer_name,
                    key="us_each",
                    unit="us",
                    better="lower",
                    goal=Bound(limit=1e6 / 60_000, of="ours") if is_goal else None,
                    note=NOTE,
                )
            )


def test_the_start_of_a_worker(bench: Bench, benchmark: BenchmarkFixture) -> None:
    pools = bench.candidates(*(name for name in EVERYONE if name != "pool-anyio"))
    figures = interleaved(
        benchmark,
        {name: partial(pool.run, "workers_start") for name, pool in pools.items()},
        count=bench.sizes.pool_round_count,
    )
    for kind, peers in PEERS.items():
        for peer, peer_name in peers.items():
            for key, what in (("ms", "until its first answer"), ("mb", "memory of its own")):
                if peer == "pool-anyio" or (key == "mb" and kind == "thread"):
                    continue  # anyio keeps its workers until the loop ends
                bench.add(
                    compare(
                        figures,
                        group="workers: the start of one",
                        what=f"{kind}, {what}",
                        ours=f"workers:{kind}",
                        peer=peer,
                        peer_name=peer_name,
                        key=key,
                        unit="ms" if key == "ms" else "MB",
                        better="lower",
                    )
                )


def test_more_workers(bench: Bench, benchmark: BenchmarkFixture) -> None:
    counts = (1, 2, 4)
    count = max(8, bench.sizes.lone_count // 2)
    pools = bench.candidates("workers:process", "workers:thread")
    figures = interleaved(
        benchmark,
        {
            f"{name} {workers}": partial(pool.run, "workers_spin", workers=workers, count=count, steps=20_000)
            for name, pool in pools.items()
            for workers in counts
        },
        count=bench.sizes.pool_round_count,
    )
    for kind in ("process", "thread"):
        for workers in counts[1:]:
            bench.add(
                compare(
                    figures,
                    group="workers: tasks of a millisecond of pure Python",
                    what=f"{kind}, {workers} workers",
                    ours=f"workers:{kind} {workers}",
                    peer=f"workers:{kind} 1",
                    peer_name="1 worker",
                    key="per_s",
                    unit="/s",
                )
            )


def test_small_operations_in_one_request(bench: Bench, benchmark: BenchmarkFixture) -> None:
    count = bench.sizes.lone_count
    pools = bench.candidates(*OURS)
    figures = interleaved(
        benchmark,
        {
            f"{name} {in_one}": partial(pool.run, "workers_digests", count=count, in_one=in_one)
            for name, pool in pools.items()
            for in_one in (True, False)
        },
        count=bench.sizes.pool_round_count,
    )
    for name in OURS:
        bench.add(
            compare(
                figures,
                group="workers: hashes of 64 bytes, all in one request",
                what=name.removeprefix("workers:"),
                ours=f"{name} True",
                peer=f"{name} False",
                peer_name=f"{count} requests at once",
                key="per_s",
                unit="/s",
            )
        )


def test_cancelling_what_never_looks(bench: Bench, benchmark: BenchmarkFixture) -> None:
    count = max(2, bench.sizes.lone_count // 100)
    pools = bench.candidates("workers:process")
    figures = interleaved(
        benchmark,
        {"ours": partial(pools["workers:process"].run, "workers_cancel", count=count)},
        count=bench.sizes.pool_round_count,
    )
    bench.add(
        versus(
            group="workers: a call that never looks, from its cancel to the next answer of its only worker",
            what="process, p50",
            ours=[figure["ms"] for figure in figures["ours"]],
            peer_name="its own worst",
            peer=[figure["worst_ms"] for figure in figures["ours"]],
            unit="ms",
            better="lower",
            goal=Bound(limit=50, of="ours"),
            note="told by a flag, SIGTERM after 20 ms, SIGKILL after 20 more; a spare takes its place",
        )
    )

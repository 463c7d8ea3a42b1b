"""Live queries: from the commit of a change to the new answer at those who listen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench

_LIMIT_MS = 50.0
"""As a message's delivery has in the chat."""


def test_live_queries_from_commit_to_event(bench: Bench, benchmark: BenchmarkFixture) -> None:
    subject = bench.candidates("live")["live"]
    many = bench.sizes.live_listener_count
    writes = bench.sizes.live_write_count
    ways = {
        "one": {"listeners": 1, "questions": 1},
        "shared": {"listeners": many, "questions": 1},
        "own": {"listeners": many, "questions": many},
    }
    figures = interleaved(
        benchmark,
        {name: partial(subject.run, "to_event", write_count=writes, **way) for name, way in ways.items()},
        count=min(3, bench.sizes.round_count),
    )
    for name, what in (
        ("shared", "one query for all"),
        ("own", "a query each, one of which has another answer"),
    ):
        for key, label in (("p50_ms", "p50"), ("p99_ms", "p99")):
            bench.add(
                compare(
                    figures,
                    group=f"live queries, {many:,} listeners: from the commit to the new answer",
                    what=f"{what}, {label}",
                    ours=name,
                    peer="one",
                    peer_name="1 listener",
                    key=key,
                    unit="ms",
                    better="lower",
                    goal=Bound(limit=_LIMIT_MS, of="ours") if key == "p99_ms" else None,
                    note="commit: its caller has been told; all of the queries run again after each change",
                )
            )

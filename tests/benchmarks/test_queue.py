"""The durable queue beside three others on SQLite: in, out, how soon, and what a backlog costs."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from loadtests.percentiles import percentile
from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound, Row, versus
from tests.benchmarks.subject_process import SubjectProcess
from tests.benchmarks.subjects import queue_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench, Figures

PEERS = {
    "huey": "huey",
    "litequeue": "litequeue",
    "persist:ack": "persist-queue, with acks",
    "persist:fifo": "persist-queue, without",
}
SET_NOTE = (
    "peers on SQLite of the stdlib, WAL and synchronous=FULL (huey: fsync=True; litequeue, which sets NORMAL, and "
    "persist-queue: PRAGMA after opening), one thread that calls in a loop, a commit each; ours: FULL, one loop"
)
OUT_NOTE = (
    "a handler that does nothing; ours writes down each call before it is made and each end after it, huey and "
    "persist-queue without acks only that it was taken, before it is handled"
)
WAKE_NOTE = "an idle queue, one action at a time; the claim is on disk before the handler begins"
WAITING_NOTE = "flat is taken to be at least 0.8x; ten actions lie on one page of the file, ten thousand on some hundreds"
SOME_COUNT = 10_000


@contextmanager
def _queues(bench: Bench, owner: str, *names: str) -> Iterator[dict[str, SubjectProcess]]:
    """Start each of the queues in a process of its own, on a new file of its own."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(SubjectProcess(name, bench.folder(f"{owner} {name}") / "queue"))
            for name in names
        }


def _group(bench: Bench, what: str) -> str:
    return f"queue: {what}, FULL, beside an fdatasync of {bench.fdatasync_us:,.0f} us"


def test_durable_enqueue(bench: Bench, benchmark: BenchmarkFixture) -> None:
    counts = (1, 100, 1_000)
    with _queues(bench, "in", "queue", *PEERS) as queues:
        rounds = {
            f"queue {count}": partial(
                queues["queue"].run, "queue_in", seconds=bench.sizes.seconds, in_flight=count
            )
            for count in counts
        }
        rounds |= {
            name: partial(queues[name].run, "queue_in", seconds=bench.sizes.seconds, in_flight=1)
            for name in PEERS
        }
        figures = interleaved(benchmark, rounds, count=bench.sizes.queue_round_count)
    for count in counts:
        for peer, peer_name in PEERS.items():
            bench.add(
                compare(
                    figures,
                    group=_group(bench, "in"),
                    what=f"{count:,} callers" if count > 1 else "1 caller",
                    ours=f"queue {count}",
                    peer=peer,
                    peer_name=peer_name,
                    key="per_s",
                    unit="/s",
                    goal=Bound(limit=6) if (count, peer) == (100, "huey") else None,
                    note=SET_NOTE,
                )
            )


def test_enqueue_at_a_steady_pace(bench: Bench, benchmark: BenchmarkFixture) -> None:
    names = ("queue", "huey")
    pace, count = bench.sizes.queue_pace_per_s, bench.sizes.queue_pace_count
    with _queues(bench, "pace", *names) as queues:
        figures = interleaved(
            benchmark,
            {name: partial(queues[name].run, "queue_pace", per_s=pace, count=count) for name in names},
            count=bench.sizes.queue_round_count,
        )
    for key, floor, goal in (("p50_ms", None, None), ("p99_ms", 10.0, 5.0)):
        bench.add(
            compare(
                figures,
                group=_group(bench, f"durable on return at {pace:,}/s"),
                what=f"{key.removesuffix('_ms')}, from when it was due",
                ours="queue",
                peer="huey",
                peer_name="huey",
                key=key,
                unit="ms",
                better="lower",
                floor=None if floor is None else Bound(limit=floor, of="ours"),
                goal=None if goal is None else Bound(limit=goal, of="ours"),
            )
        )


def test_drain(bench: Bench, benchmark: BenchmarkFixture) -> None:
    count, seconds = bench.sizes.queue_drain_count, bench.sizes.seconds
    with _queues(bench, "out", "queue", "queue:64", *PEERS) as queues:
        rounds = {
            f"{name} {lanes}": partial(
                queues[name].run, "queue_out", lanes=lanes, count=count, seconds=seconds
            )
            for lanes, name in ((1_000, "queue"), (1_000, "queue:64"), (1, "queue"))
        }
        rounds |= {
            name: partial(queues[name].run, "queue_out", lanes=1, count=count, seconds=seconds)
            for name in PEERS
        }
        figures = interleaved(benchmark, rounds, count=bench.sizes.queue_round_count)
    bounds = {
        "queue 1000": (Bound(limit=5), Bound(limit=15)),
        "queue 1": (Bound(limit=3), Bound(limit=10)),
    }
    for ours, what in (
        ("queue 1000", "1,000 lanes, 4 handlers at once"),
        ("queue:64 1000", "1,000 lanes, 64 handlers at once"),
        ("queue 1", "1 lane"),
    ):
        for peer, peer_name in PEERS.items():
            floor, goal = bounds.get(ours, (None, None)) if peer == "huey" else (None, None)
            bench.add(
                compare(
                    figures,
                    group=_group(bench, "out"),
                    what=what,
                    ours=ours,
                    peer=peer,
                    peer_name=peer_name,
                    key="per_s",
                    unit="/s",
                    floor=floor,
                    goal=goal,
                    note=OUT_NOTE,
                )
            )


def test_how_soon_a_handler_begins(bench: Bench, benchmark: BenchmarkFixture) -> None:
    count = bench.sizes.queue_wake_count
    with _queues(bench, "wake", "queue") as queues, ExitStack() as stack:
        shared = bench.folder("wake across") / "queue"
        handles, enqueues = (stack.enter_context(SubjectProcess("queue", shared)) for _ in range(2))
        figures = interleaved(
            benchmark,
            {
                "in": partial(queues["queue"].run, "queue_to_handler", count=count),
                "across": partial(_across, handles, enqueues, count),
            },
            count=bench.sizes.queue_round_count,
        )
    whole, wake = "enqueue to handler", "return of enqueue to handler"
    for name, what, keys, goal in (
        ("in", f"{whole}, in process", ("p50_ms", "p99_ms"), None),
        ("in", f"{wake}, in process", ("wake_p50_ms", "wake_p99_ms"), None),
        ("across", f"{whole}, across processes", ("p50_ms", "p99_ms"), None),
        ("across", f"{wake}, across processes", ("wake_p50_ms", "wake_p99_ms"), 1.0),
    ):
        for key in keys:
            percent = key.removeprefix("wake_").removesuffix("_ms")
            bench.add(
                _alone(
                    figures[name],
                    group=_group(bench, "how soon"),
                    what=f"{what}, {percent}",
                    key=key,
                    goal=Bound(limit=goal, of="ours") if goal and percent == "p50" else None,
                )
            )


def test_cost_by_what_waits(bench: Bench, benchmark: BenchmarkFixture) -> None:
    counts = bench.sizes.queue_waiting_counts
    round_count = bench.sizes.queue_round_count
    with ExitStack() as stack:
        queues: dict[int, SubjectProcess] = {}
        for count in counts:
            path = bench.folder(f"waiting {count}") / "queue"
            queue_file.create(path, waiting_count=count)
            queues[count] = stack.enter_context(SubjectProcess("queue", path))
        claims: dict[str, list[Figures]] = {f"claim {count}": [] for count in counts}
        for _ in range(round_count):
            for count in counts:
                claims[f"claim {count}"].append(
                    queues[count].run("queue_claims", count=bench.sizes.queue_wake_count)
                )
        rounds = {
            f"one {count}": partial(queues[count].run, "queue_lone", count=bench.sizes.queue_wake_count)
            for count in counts
        }
        for count in counts:  # what was put in is taken out again, the oldest of all
            rounds[f"many {count}"] = partial(
                queues[count].run, "queue_in", seconds=bench.sizes.seconds, in_flight=100
            )
            rounds[f"out {count}"] = partial(queues[count].run, "queue_more_out", least_count=1)
        figures = claims | interleaved(benchmark, rounds, count=round_count)
    for fewer, count in pairwise(counts):
        for what, row, key, unit in (
            ("claim 8 lanes, give back 8", "claim", "us", "us"),
            ("enqueue, 1 caller", "one", "us", "us"),
            ("enqueue, 100 callers", "many", "per_s", "/s"),
            ("out, 1,000 lanes", "out", "per_s", "/s"),
        ):
            bench.add(
                compare(
                    figures,
                    group=_group(bench, "cost by what waits"),
                    what=f"{what}, {count:,} wait",
                    ours=f"{row} {count}",
                    peer=f"{row} {fewer}",
                    peer_name=f"{fewer:,} wait",
                    key=key,
                    unit=unit,
                    better="higher" if unit == "/s" else "lower",
                    floor=Bound(limit=0.8) if fewer >= SOME_COUNT else None,
                    note=WAITING_NOTE,
                )
            )


def _across(handles: SubjectProcess, enqueues: SubjectProcess, count: int) -> dict[str, float]:
    handles.run("queue_listen")
    sent = enqueues.run("queue_announce", first=0, count=count)
    heard = handles.run("queue_heard", count=count)
    whole = [(at - sent[f"begun {name}"]) / 1e6 for name, at in heard.items()]
    after = [(at - sent[f"stored {name}"]) / 1e6 for name, at in heard.items()]
    return {
        "p50_ms": percentile(whole, 50),
        "p99_ms": percentile(whole, 99),
        "wake_p50_ms": percentile(after, 50),
        "wake_p99_ms": percentile(after, 99),
    }


def _alone(
    figures: Sequence[Mapping[str, float]],
    *,
    group: str,
    what: str,
    key: str,
    goal: Bound | None = None,
) -> Row:
    """Return the row of a figure that nobody else has."""
    return versus(
        group=group,
        what=what,
        ours=[figure[key] for figure in figures],
        peer_name="",
        peer=[],
        unit="ms",
        better="lower",
        goal=goal,
        note=WAKE_NOTE,
    )

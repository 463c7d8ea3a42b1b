"""From the requests of a run to its figures: percentiles per name, per second, and what went wrong; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.samples import Answered, Reading, Run

ALL = "all requests"
SMALL = "small requests"
LARGE_NAMES = frozenset({"export", "filtered list", "scan"})
"""What may read whole tables: slow by its nature, so the p99 that a user feels is that of all the others."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The latencies of the requests of one name; refused and failed ones are counted, not timed."""

    name: str
    request_count: int
    refused_count: int
    failed_count: int
    per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    worst_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All figures of one run."""

    label: str
    pool: str
    seconds: float
    offered_per_s: float
    total: Latency
    small: Latency
    by_name: tuple[Latency, ...]
    failures: tuple[tuple[str, int], ...]
    """What went wrong, most frequent first."""
    loop_lag_p99_ms: float | None
    loop_lag_worst_ms: float | None
    memory_peak_bytes: int
    unread_count: int
    """Readings that the server did not give in time."""
    machine_late_s: float


@dataclass(frozen=True, kw_only=True)
class Second:
    """One second of a run; the p99 is that of small requests, None when none was asked in it."""

    at_s: float
    request_count: int
    p99_ms: float | None


def summarise(run: Run) -> Summary:
    """Return the figures of `run`."""
    seconds = max(run.ended_s - run.begun_s, 1e-9)
    names = sorted({answered.name for answered in run.answered})
    failures = Counter(
        f"{answered.name}: {answered.detail}" for answered in run.answered if answered.outcome == "failed"
    )
    lags = [reading.loop_lag_ms for reading in run.readings if reading.loop_lag_ms is not None]
    return Summary(
        label=run.label,
        pool=run.pool,
        seconds=seconds,
        offered_per_s=run.offered_per_s,
        total=latency(ALL, run.answered, seconds),
        small=latency(SMALL, [each for each in run.answered if each.name not in LARGE_NAMES], seconds),
        by_name=tuple(
            latency(name, [answered for answered in run.answered if answered.name == name], seconds)
            for name in names
        ),
        failures=tuple(failures.most_common()),
        loop_lag_p99_ms=percentile(lags, 99) if lags else None,
        loop_lag_worst_ms=max(lags, default=None),
        memory_peak_bytes=max((reading.memory_bytes for reading in run.readings), default=0),
        unread_count=sum(1 for reading in run.readings if reading.scrape_ms is None),
        machine_late_s=run.machine_late_s,
    )


def latency(name: str, answered: Sequence[Answered], seconds: float) -> Latency:
    """Return the figures of these requests."""
    times = [each.took_ms for each in answered if each.outcome == "ok"]
    outcomes = Counter(each.outcome for each in answered)
    return Latency(
        name=name,
        request_count=len(answered),
        refused_count=outcomes["refused"],
        failed_count=outcomes["failed"],
        per_s=len(answered) / seconds,
        p50_ms=percentile(times, 50) if times else None,
        p95_ms=percentile(times, 95) if times else None,
        p99_ms=percentile(times, 99) if times else None,
        worst_ms=max(times, default=None),
    )


def by_second(run: Run) -> list[Second]:
    """Return the run second by second, counted from its start by when requests began; no second is left out."""
    whole_seconds = max(1, int(run.ended_s - run.begun_s))
    counts = [0] * whole_seconds
    times: list[list[float]] = [[] for _ in range(whole_seconds)]
    for answered in run.answered:
        number = int(answered.begun_s - run.begun_s)
        if 0 <= number < whole_seconds:
            counts[number] += 1
            if answered.name not in LARGE_NAMES:
                times[number].append(answered.took_ms)
    return [
        Second(at_s=float(number), request_count=count, p99_ms=percentile(taken, 99) if taken else None)
        for number, (count, taken) in enumerate(zip(counts, times, strict=True))
    ]


def lag_line(readings: Sequence[Reading], begun_s: float) -> list[tuple[float, float | None]]:
    """Return the loop lag over the seconds of a run; None is a gap."""
    return [(reading.at_s - begun_s, reading.loop_lag_ms) for reading in readings]

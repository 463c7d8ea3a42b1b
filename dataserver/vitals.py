"""How the server did in each of the last 900 seconds, for whoever looks at it now; Prometheus keeps more, for later.

Once a second the counters that are there anyway are read, and what they grew by is kept: some 30 numbers, 0.4 MB for a
quarter of an hour. A second costs the loop some 0.1 ms, whatever the load. Pure, but for the timer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

KEPT_COUNT: Final = 900
PERIOD_S: Final = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolCounts:
    """A pool of workers as it stood."""

    busy: int = 0
    waiting: int = 0
    alive: int = 0
    completed: int = 0
    rejected: int = 0
    restarts: int = 0
    wait_counts: tuple[int, ...] = ()
    """By powers of two microseconds."""
    changes: int = 0
    """How often another pool took its place, and began to count from nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Everything as it stood at one moment; most of it since the start."""

    at_ms: int
    requests: tuple[int, ...]
    """Requests by their duration; the edges are `edges_ms`, and one more for what is longer."""
    failed: int
    """Requests answered with a status of 500 or more."""
    sent_bytes: int
    open_requests: int
    sockets: int
    lag_counts: tuple[int, ...]
    readers: tuple[PoolCounts, ...]
    """Of each storage, always in the same order."""
    writers: tuple[PoolCounts, ...]
    wal_bytes: int
    largest_wal_bytes: int
    oldest_reader_s: float
    memory_bytes: int


class PoolVital(msgspec.Struct, frozen=True, kw_only=True):
    """The readers, or the writers, of all storages in one second."""

    busy: int
    waiting: int
    alive: int
    completed: int
    rejected: int
    restarts: int
    dead: int
    """Pools in which no worker is alive."""
    wait_p99_ms: float


class Vital(msgspec.Struct, frozen=True, kw_only=True):
    """One second of the server."""

    at_ms: int
    """When it ended."""
    requests: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    sent_bytes: int
    open_requests: int
    sockets: int
    lag_ms: float
    """The most that the event loop was late."""
    readers: PoolVital
    writers: PoolVital
    wal_bytes: int
    largest_wal_bytes: int
    """The largest log of one database, which is what has a bound."""
    oldest_reader_s: float
    memory_bytes: int


def vital(
    before: Counts, after: Counts, *, edges_ms: Sequence[float], lag_edges_ms: Sequence[float]
) -> Vital:
    """Return what happened between two moments."""
    requests = _grown(before.requests, after.requests)
    return Vital(
        at_ms=after.at_ms,
        requests=sum(requests),
        failed=after.failed - before.failed,
        p50_ms=quantile(requests, edges_ms, 0.5),
        p95_ms=quantile(requests, edges_ms, 0.95),
        p99_ms=quantile(requests, edges_ms, 0.99),
        sent_bytes=after.sent_bytes - before.sent_bytes,
        open_requests=after.open_requests,
        sockets=after.sockets,
        lag_ms=quantile(_grown(before.lag_counts, after.lag_counts), lag_edges_ms, 1.0),
        readers=_pools(before.readers, after.readers),
        writers=_pools(before.writers, after.writers),
        wal_bytes=after.wal_bytes,
        largest_wal_bytes=after.largest_wal_bytes,
        oldest_reader_s=after.oldest_reader_s,
        memory_bytes=after.memory_bytes,
    )


def quantile(counts: Sequence[int], edges: Sequence[float], fraction: float) -> float:
    """Return the value that `fraction` of what was counted does not pass, taken as spread evenly in its bucket.

    0 if nothing was counted; of what passes the last edge only that edge is known.
    """
    rank, seen, lower = fraction * sum(counts), 0, 0.0
    if not rank:
        return 0.0
    for count, upper in zip(counts, edges, strict=False):
        if count and seen + count >= rank:
            return lower + (upper - lower) * (rank - seen) / count
        seen, lower = seen + count, upper
    return lower


def _pools(before: Sequence[PoolCounts], after: Sequence[PoolCounts]) -> PoolVital:
    pairs = [
        (old if old.changes == new.changes else PoolCounts(), new)
        for old, new in zip(before, after, strict=True)
    ]
    waits = [
        sum(counts)
        for counts in zip(*(_grown(old.wait_counts, new.wait_counts) for old, new in pairs), strict=True)
    ]
    edges_ms = [2**power / 1000 for power in range(len(waits))]
    return PoolVital(
        busy=sum(each.busy for each in after),
        waiting=sum(each.waiting for each in after),
        alive=sum(each.alive for each in after),
        completed=sum(new.completed - old.completed for old, new in pairs),
        rejected=sum(new.rejected - old.rejected for old, new in pairs),
        restarts=sum(new.restarts - old.restarts for old, new in pairs),
        dead=sum(not each.alive for each in after),
        wait_p99_ms=quantile(waits, edges_ms, 0.99),
    )


def _grown(before: Sequence[int], after: Sequence[int]) -> list[int]:
    if len(before) != len(after):
        return list(after)
    return [new - old for old, new in zip(before, after, strict=True)]


class Vitals:
    """The last seconds; `start` and `close` go with the server's life."""

    def __init__(
        self, counted: Callable[[], Counts], *, edges_ms: Sequence[float], lag_edges_ms: Sequence[float]
    ) -> None:
        self._counted = counted
        self._edges_ms = edges_ms
        self._lag_edges_ms = lag_edges_ms
        self._kept: deque[Vital] = deque(maxlen=KEPT_COUNT)
        self._last: Counts | None = None
        self._timer: asyncio.TimerHandle | None = None

    def since(self, at_ms: int) -> list[Vital]:
        """Return the seconds that ended after `at_ms`, oldest first."""
        return [each for each in self._kept if each.at_ms > at_ms]

    def start(self) -> None:
        """Begin on the running loop; calling again does nothing."""
        if self._timer is None:
            self._tick(asyncio.get_running_loop())

    def close(self) -> None:
        """Stop; what was kept stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self) -> None:
        """Keep what happened since the last time."""
        now = self._counted()
        if self._last is not None:
            self._kept.append(
                vital(self._last, now, edges_ms=self._edges_ms, lag_edges_ms=self._lag_edges_ms)
            )
        self._last = now

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(PERIOD_S, self._tick, loop)
        self.take()

"""Reads the server's counters for `vitals`, on the loop and without waiting."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dataserver.loop_lag import BUCKETS_S as LAG_BUCKETS_S
from dataserver.metrics import REQUEST_BUCKETS_S
from dataserver.vitals import Counts, PoolCounts, Vitals

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataserver.departures import Departures
    from dataserver.metrics import Metrics
    from dataserver.socket.hub import Hub
    from dataserver.worker_control import WorkerControl
    from workers import Clock, PoolStatistics

_STATM: Final = Path("/proc/self/statm")


def vitals_of(
    *, metrics: Metrics, workers: WorkerControl, departures: Departures, hub: Hub, clock: Clock
) -> Vitals:
    """Return what keeps the last seconds of a server that is made of these."""

    def counted() -> Counts:
        requests, failed_count, sent_bytes = metrics.requests_so_far()
        stored = list(workers.statistics().values())
        return Counts(
            at_ms=int(clock.now() * 1000),
            requests=requests or (0,) * (len(REQUEST_BUCKETS_S) + 1),
            failed=failed_count,
            sent_bytes=sent_bytes,
            open_requests=departures.open_count,
            sockets=hub.open_count,
            lag_counts=tuple(metrics.lag.counts),
            readers=tuple(_pool(each.reader, each.changes_count) for each in stored),
            writers=tuple(_pool(each.writer, each.changes_count) for each in stored),
            wal_bytes=sum(each.logs.wal_bytes for each in stored),
            largest_wal_bytes=max(each.logs.largest_wal_bytes for each in stored),
            oldest_reader_s=max(each.logs.oldest_reader_s for each in stored),
            memory_bytes=_own_bytes()
            + sum(each.reader.resident_bytes + each.writer.resident_bytes for each in stored),
        )

    return Vitals(counted, edges_ms=_in_ms(REQUEST_BUCKETS_S), lag_edges_ms=_in_ms(LAG_BUCKETS_S))


def _in_ms(edges_s: tuple[float, ...]) -> list[float]:
    return [1000 * edge for edge in edges_s]


def _pool(pool: PoolStatistics, changes_count: int) -> PoolCounts:
    return PoolCounts(
        busy=pool.busy_count,
        waiting=pool.waiting_count,
        alive=pool.alive_count,
        completed=pool.completed_count,
        rejected=sum(pool.rejected.values()),
        restarts=pool.restarts_count,
        wait_counts=pool.wait_us.counts,
        changes=changes_count,
    )


def _resident_by_proc() -> int:
    return int(_STATM.read_text().split()[1]) * resource.getpagesize()


def _most_resident() -> int:
    """Return the most that the process ever had, where nobody tells what it has now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


_own_bytes: Callable[[], int] = _resident_by_proc if _STATM.exists() else _most_resident

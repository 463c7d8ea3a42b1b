"""What the server counts, and its names in Prometheus: one table of them, in `Metrics.collect`.

A request costs a dictionary lookup and two additions; families are only made when somebody scrapes. Nothing that a
client chooses becomes a label but the route's template and the status.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Protocol

import anyio.to_thread
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from dataserver.loop_lag import BUCKETS_S as LAG_BUCKETS_S
from dataserver.loop_lag import LoopLag
from dataserver.memory import TreeMemory, tree_memory

if TYPE_CHECKING:
    from storage import StorageStatistics
    from workers import PoolStatistics

REQUEST_BUCKETS_S: Final = (
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    30.0,
)


class Durations(Protocol):
    """Counts by powers of two microseconds, as pools keep them."""

    @property
    def counts(self) -> Sequence[int]:
        """One for each power of two; the last one has no upper edge."""

    @property
    def total_us(self) -> int:
        """All of them together."""


class _Requests:
    """The requests of one route and status."""

    __slots__ = ("counts", "sent_bytes", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(REQUEST_BUCKETS_S) + 1)
        self.total_s = 0.0
        self.sent_bytes = 0


class Metrics(Collector):
    """All that the server counts."""

    def __init__(self, lag: LoopLag) -> None:
        self.lag = lag
        self._requests: dict[tuple[str, int], _Requests] = {}
        self._statistics: Callable[[], StorageStatistics] | None = None
        self._open_count: Callable[[], int] = lambda: 0
        self._departed_count: Callable[[], int] = lambda: 0
        self._memory: TreeMemory | None = None
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def observe(
        self,
        *,
        statistics: Callable[[], StorageStatistics],
        open_count: Callable[[], int],
        departed_count: Callable[[], int],
    ) -> None:
        """Take what others count from where they count it."""
        self._statistics = statistics
        self._open_count = open_count
        self._departed_count = departed_count

    def count_request(self, route: str, status: int, duration_s: float, sent_bytes: int) -> None:
        """Count one request that is over."""
        requests = self._requests.get((route, status))
        if requests is None:
            requests = self._requests[route, status] = _Requests()
        requests.counts[bisect_left(REQUEST_BUCKETS_S, duration_s)] += 1
        requests.total_s += duration_s
        requests.sent_bytes += sent_bytes

    async def exposition(self) -> bytes:
        """Return everything in Prometheus's text format."""
        self._memory = await anyio.to_thread.run_sync(tree_memory, os.getpid())
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Return nothing: what there is depends on what has been counted."""
        return []

    @override
    def collect(self) -> Iterator[Metric]:
        yield from self._request_families()
        lag = HistogramMetricFamily("dataserver_event_loop_lag_seconds", "How late a timer of the loop came.")
        lag.add_metric([], *_histogram(LAG_BUCKETS_S, self.lag.counts, self.lag.total_s))
        yield lag
        yield GaugeMetricFamily(
            "dataserver_event_loop_lag_worst_seconds", "The latest in the last 15 to 30 s.", self.lag.worst_s
        )
        if self._memory is not None:
            yield from _memory_families(self._memory)
        if self._statistics is not None:
            statistics = self._statistics()
            yield from _pool_families([statistics.reader, statistics.writer])

    def _request_families(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("dataserver_http_open_requests", "Requests under way.", self._open_count())
        yield CounterMetricFamily(
            "dataserver_http_departures",
            "Requests cancelled because their client left.",
            self._departed_count(),
        )
        durations = HistogramMetricFamily(
            "dataserver_http_request_seconds", "Requests, by route and status.", labels=["route", "status"]
        )
        sent = CounterMetricFamily(
            "dataserver_http_sent_body_bytes", "Bytes of answers' bodies.", labels=["route"]
        )
        sent_by_route: dict[str, int] = {}
        for (route, status), requests in self._requests.items():
            durations.add_metric(
                [route, str(status)], *_histogram(REQUEST_BUCKETS_S, requests.counts, requests.total_s)
            )
            sent_by_route[route] = sent_by_route.get(route, 0) + requests.sent_bytes
        for route, sent_bytes in sent_by_route.items():
            sent.add_metric([route], sent_bytes)
        yield durations
        yield sent


def _memory_families(memory: TreeMemory) -> Iterator[Metric]:
    for name, says, value in (
        ("memory_pss_bytes", "PSS of the server and its workers.", memory.pss_bytes),
        ("memory_memfd_bytes", "Files without a name that carry large results.", memory.memfd_bytes),
        ("processes", "The server and its workers.", memory.process_count),
    ):
        yield GaugeMetricFamily(f"dataserver_{name}", says, value)


_POOL_GAUGES: Final[tuple[tuple[str, str, Callable[[PoolStatistics], float]], ...]] = (
    ("workers", "Workers that the pool is set to.", lambda pool: pool.worker_count),
    ("workers_alive", "Workers that run.", lambda pool: pool.alive_count),
    ("workers_busy", "Workers that have a call.", lambda pool: pool.busy_count),
    ("waiting", "Calls that wait for a worker.", lambda pool: pool.waiting_count),
    ("waiting_bytes", "Parameters of calls not answered yet.", lambda pool: pool.waiting_bytes),
    ("in_flight", "Calls at workers.", lambda pool: pool.in_flight_count),
)

_POOL_COUNTERS: Final[tuple[tuple[str, str, Callable[[PoolStatistics], float]], ...]] = (
    ("completed", "Calls answered.", lambda pool: pool.completed_count),
    ("failed", "Calls answered with an error.", lambda pool: pool.failed_count),
    ("timed_out", "Calls past their deadline.", lambda pool: pool.timed_out_count),
    ("cancelled", "Calls taken back.", lambda pool: pool.cancelled_count),
    ("interrupted", "Statements stopped while they ran.", lambda pool: pool.interrupted_count),
    ("demoted", "Reads sent on to the scan lane.", lambda pool: pool.demoted_count),
    ("recalled", "Calls taken back from a slow worker.", lambda pool: pool.recalled_count),
    ("restarts", "Workers replaced.", lambda pool: pool.restarts_count),
)

_POOL_HISTOGRAMS: Final[tuple[tuple[str, str, Callable[[PoolStatistics], Durations]], ...]] = (
    ("wait", "From call to answer, less the time in the service.", lambda pool: pool.wait_us),
    ("run", "Time in the service.", lambda pool: pool.run_us),
    ("interrupt", "From being told to stop to being free.", lambda pool: pool.interrupt_us),
)


def _pool_families(pools: Sequence[PoolStatistics]) -> Iterator[Metric]:
    info = GaugeMetricFamily("dataserver_pool_info", "What the pool is made of.", labels=["pool", "kind"])
    for pool in pools:
        info.add_metric([pool.name, pool.kind], 1)
    yield info
    for name, says, value in _POOL_GAUGES:
        gauge = GaugeMetricFamily(f"dataserver_pool_{name}", says, labels=["pool"])
        for pool in pools:
            gauge.add_metric([pool.name], value(pool))
        yield gauge
    for name, says, value in _POOL_COUNTERS:
        counter = CounterMetricFamily(f"dataserver_pool_{name}", says, labels=["pool"])
        for pool in pools:
            counter.add_metric([pool.name], value(pool))
        yield counter
    rejected = CounterMetricFamily("dataserver_pool_rejected", "Calls refused.", labels=["pool", "reason"])
    for pool in pools:
        for reason, count in pool.rejected.items():
            rejected.add_metric([pool.name, reason], count)
    yield rejected
    for name, says, durations in _POOL_HISTOGRAMS:
        family = HistogramMetricFamily(f"dataserver_pool_{name}_seconds", says, labels=["pool"])
        for pool in pools:
            family.add_metric([pool.name], *_powers_of_two(durations(pool)))
        yield family


def _histogram(
    edges_s: Sequence[float], counts: Sequence[int], total_s: float
) -> tuple[list[tuple[str, float]], float]:
    names = [*map(str, edges_s), "+Inf"]
    return list(zip(names, map(float, accumulate(counts)), strict=True)), total_s


def _powers_of_two(durations: Durations) -> tuple[list[tuple[str, float]], float]:
    """Return a histogram of microseconds by powers of two, its upper edges in seconds."""
    edges = [2**power / 1_000_000 for power in range(len(durations.counts) - 1)]
    return _histogram(edges, durations.counts, durations.total_us / 1_000_000)

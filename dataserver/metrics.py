"""What the server counts, and its names in Prometheus: one table of them, in `Metrics.collect`; those of storage are in `storage_metrics`.

A request costs a dictionary lookup and two additions; families are only made when somebody scrapes. Nothing that a
client chooses becomes a label but the route's template and the status.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Final

import anyio.to_thread
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from dataserver.loop_lag import BUCKETS_S as LAG_BUCKETS_S
from dataserver.loop_lag import LoopLag
from dataserver.memory import TreeMemory, tree_memory
from dataserver.storage_metrics import histogram, storage_families

if TYPE_CHECKING:
    from dataserver.socket.hub import Hub
    from storage import StorageReport

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


FAILED_STATUS: Final = 500
MEMORY_AGE_S: Final = 1.0
"""The memory of all processes is read at most so often: it takes some 10 ms, 50 on a busy machine."""
"""From here on an answer says that the server failed."""


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
        self._report_of: Callable[[], Awaitable[StorageReport]] | None = None
        self._report: StorageReport | None = None
        self._open_count: Callable[[], int] = lambda: 0
        self._departed_count: Callable[[], int] = lambda: 0
        self._hub: Hub | None = None
        self._memory: TreeMemory | None = None
        self._memory_read_at = -MEMORY_AGE_S
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def observe(
        self,
        *,
        report: Callable[[], Awaitable[StorageReport]],
        open_count: Callable[[], int],
        departed_count: Callable[[], int],
        hub: Hub,
    ) -> None:
        """Take what others count from where they count it."""
        self._report_of = report
        self._open_count = open_count
        self._departed_count = departed_count
        self._hub = hub

    def count_request(self, route: str, status: int, duration_s: float, sent_bytes: int) -> None:
        """Count one request that is over."""
        requests = self._requests.get((route, status))
        if requests is None:
            requests = self._requests[route, status] = _Requests()
        requests.counts[bisect_left(REQUEST_BUCKETS_S, duration_s)] += 1
        requests.total_s += duration_s
        requests.sent_bytes += sent_bytes

    def requests_so_far(self) -> tuple[tuple[int, ...], int, int]:
        """Return all requests by their duration (see `REQUEST_BUCKETS_S`), how many failed, and the bytes sent."""
        kinds = self._requests.items()
        durations = tuple(map(sum, zip(*(each.counts for _, each in kinds), strict=True))) if kinds else ()
        failed_count = sum(sum(each.counts) for (_, status), each in kinds if status >= FAILED_STATUS)
        return durations, failed_count, sum(each.sent_bytes for _, each in kinds)

    async def exposition(self) -> bytes:
        """Return everything in Prometheus's text format."""
        if self._report_of is not None:
            self._report = await self._report_of()
        now = monotonic()
        if now - self._memory_read_at >= MEMORY_AGE_S:
            self._memory_read_at = now
            self._memory = await anyio.to_thread.run_sync(tree_memory, os.getpid())
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Return nothing: what there is depends on what has been counted."""
        return []

    @override
    def collect(self) -> Iterator[Metric]:
        yield from self._request_families()
        lag = HistogramMetricFamily("dataserver_event_loop_lag_seconds", "How late a timer of the loop came.")
        lag.add_metric([], *histogram(LAG_BUCKETS_S, self.lag.counts, self.lag.total_s))
        yield lag
        yield GaugeMetricFamily(
            "dataserver_event_loop_lag_worst_seconds", "The latest in the last 15 to 30 s.", self.lag.worst_s
        )
        if self._hub is not None:
            yield from _socket_families(self._hub)
        if self._memory is not None:
            yield from _memory_families(self._memory)
        if self._report is not None:
            yield from storage_families(self._report)

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
                [route, str(status)], *histogram(REQUEST_BUCKETS_S, requests.counts, requests.total_s)
            )
            sent_by_route[route] = sent_by_route.get(route, 0) + requests.sent_bytes
        for route, sent_bytes in sent_by_route.items():
            sent.add_metric([route], sent_bytes)
        yield durations
        yield sent


def _socket_families(hub: Hub) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "dataserver_socket_connections", "Sockets and streams of chat events.", hub.open_count
    )
    yield CounterMetricFamily(
        "dataserver_socket_deliveries", "Chat events given to a client.", hub.delivered_count
    )
    yield CounterMetricFamily(
        "dataserver_socket_sent_bytes", "Bytes sent to clients of the chat.", hub.sent_bytes
    )
    ended = CounterMetricFamily(
        "dataserver_socket_ended", "Clients of the chat that the server closed.", labels=["reason"]
    )
    for reason, count in hub.ended_counts.items():
        ended.add_metric([reason], count)
    yield ended


def _memory_families(memory: TreeMemory) -> Iterator[Metric]:
    for name, says, value in (
        ("memory_pss_bytes", "PSS of the server and its workers.", memory.pss_bytes),
        ("memory_memfd_bytes", "Files without a name that carry large results.", memory.memfd_bytes),
        ("processes", "The server and its workers.", memory.process_count),
    ):
        yield GaugeMetricFamily(f"dataserver_{name}", says, value)

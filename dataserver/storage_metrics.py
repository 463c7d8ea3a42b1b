"""What storage and its pools count, as Prometheus's families; the label of a database would be a client's choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

if TYPE_CHECKING:
    from storage import LogFacts, StorageReport
    from workers import PoolStatistics


class Durations(Protocol):
    """Counts by powers of two microseconds, as pools keep them."""

    @property
    def counts(self) -> Sequence[int]:
        """One for each power of two; the last one has no upper edge."""

    @property
    def total_us(self) -> int:
        """All of them together."""


def storage_families(report: StorageReport) -> Iterator[Metric]:
    """Yield all families of storage."""
    statistics = report.statistics
    yield from _pool_families([statistics.reader, statistics.writer])
    logs = statistics.logs
    for name, says, value in (
        ("wal_bytes", "Write-ahead logs, all together.", logs.wal_bytes),
        ("wal_largest_bytes", "The largest write-ahead log.", logs.largest_wal_bytes),
        ("oldest_reader_seconds", "How long the oldest read has been under way.", logs.oldest_reader_s),
        ("held_reads", "Streams, snapshots and backups that are open.", logs.held_count),
        ("draining_calls", "Calls that end on workers of before a change.", statistics.draining_count),
        ("use_workers", "Whether workers run SQL (1) or the event loop does.", statistics.use_workers),
    ):
        yield GaugeMetricFamily(f"dataserver_storage_{name}", says, value)
    yield CounterMetricFamily(
        "dataserver_storage_worker_changes",
        "How often workers were turned on or off.",
        statistics.changes_count,
    )
    ended = CounterMetricFamily(
        "dataserver_storage_reads_ended",
        "Reads ended because they held a log (log) or were too old (age).",
        labels=["reason"],
    )
    for reason in ("log", "age"):
        ended.add_metric([reason], logs.ended.get(reason, 0))
    yield ended
    queued = statistics.queued
    yield GaugeMetricFamily(
        "dataserver_storage_queued_writes", "Writes that nobody waits for.", queued.waiting_count
    )
    yield CounterMetricFamily(
        "dataserver_storage_queued_written", "Of these, those that are on disk by now.", queued.written_count
    )
    failed = CounterMetricFamily(
        "dataserver_storage_queued_failed", "Of these, those that were lost, by error.", labels=["error"]
    )
    for name, count in queued.failed.items():
        failed.add_metric([name], count)
    yield failed
    checkpoints = CounterMetricFamily(
        "dataserver_storage_checkpoints",
        "Checkpoints tried (passive, truncate), and how many of them a reader (busy) or an error (failed) stopped.",
        labels=["outcome"],
    )
    for outcome, count_of in _CHECKPOINTS:
        checkpoints.add_metric([outcome], sum(map(count_of, report.logs.values())))
    yield checkpoints


_CHECKPOINTS: Final[tuple[tuple[str, Callable[[LogFacts], int]], ...]] = (
    ("passive", lambda log: log.passive_count),
    ("truncate", lambda log: log.truncate_count),
    ("busy", lambda log: log.busy_count),
    ("failed", lambda log: log.failed_count),
)

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


def histogram(
    edges_s: Sequence[float], counts: Sequence[int], total_s: float
) -> tuple[list[tuple[str, float]], float]:
    """Return the counts of a histogram with these upper edges, added up as Prometheus wants them, and their sum."""
    names = [*map(str, edges_s), "+Inf"]
    return list(zip(names, map(float, accumulate(counts)), strict=True)), total_s


def _powers_of_two(durations: Durations) -> tuple[list[tuple[str, float]], float]:
    """Return a histogram of microseconds by powers of two, its upper edges in seconds."""
    edges = [2**power / 1_000_000 for power in range(len(durations.counts) - 1)]
    return histogram(edges, durations.counts, durations.total_us / 1_000_000)

"""What `GET /v1/admin/storage` answers, made from storage's own report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from storage import StorageReport
    from workers import PoolStatistics


class PoolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One pool of workers; counts are since the start, times are the upper edges of powers of two microseconds."""

    name: str
    kind: str
    worker_count: int
    alive_count: int
    busy_count: int
    waiting_count: int
    in_flight_count: int
    completed_count: int
    failed_count: int
    timed_out_count: int
    demoted_count: int
    restarts_count: int
    rejected: dict[str, int]
    """Calls refused, by reason: `queue_full`, `bytes_full`, `no_time`."""
    wait_p50_us: int
    wait_p99_us: int
    run_p50_us: int
    run_p99_us: int


class LogAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The write-ahead log of one database, and its checkpoints since the writer opened it."""

    database: str
    wal_pages: int
    passive_count: int
    truncate_count: int
    busy_count: int
    failed_count: int


class LogsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All write-ahead logs, and who reads them."""

    wal_bytes: int
    largest_wal_bytes: int
    oldest_reader_s: float
    held_count: int
    ended: dict[str, int]
    databases: list[LogAnswer]


class QueuedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Writes that nobody waits for."""

    waiting_count: int
    waiting_bytes: int
    written_count: int
    failed: dict[str, int]


class MaintenanceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Backups and checks."""

    running_count: int
    waiting_count: int


class SlowQueryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A text that was slow: its last run, how often that was so, and its plan, without the values of parameters."""

    database: str
    sql: str
    queue_ms: float
    run_ms: float
    worst_ms: float
    size_bytes: int
    ago_s: float
    count: int
    plan: list[str]
    """SQLite's words for the outermost steps; empty where it is not known."""
    full_scans: list[str]


class StorageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Storage as it stands."""

    pools: list[PoolAnswer]
    logs: LogsAnswer
    queued: QueuedAnswer
    maintenance: MaintenanceAnswer
    slow_queries: list[SlowQueryAnswer]
    """The latest first."""


def storage_answer(report: StorageReport, now: float) -> StorageAnswer:
    """Return `report` as the client gets it, `now` (monotonic) being the time."""
    statistics = report.statistics
    logs = statistics.logs
    return StorageAnswer(
        pools=[_pool(pool) for pool in (statistics.reader, statistics.writer)],
        logs=LogsAnswer(
            wal_bytes=logs.wal_bytes,
            largest_wal_bytes=logs.largest_wal_bytes,
            oldest_reader_s=round(logs.oldest_reader_s, 3),
            held_count=logs.held_count,
            ended=logs.ended,
            databases=[
                LogAnswer(
                    database=name,
                    wal_pages=facts.wal_pages,
                    passive_count=facts.passive_count,
                    truncate_count=facts.truncate_count,
                    busy_count=facts.busy_count,
                    failed_count=facts.failed_count,
                )
                for name, facts in sorted(report.logs.items())
            ],
        ),
        queued=msgspec.convert(statistics.queued, QueuedAnswer, from_attributes=True),
        maintenance=MaintenanceAnswer(
            running_count=report.maintenance_running_count, waiting_count=report.maintenance_waiting_count
        ),
        slow_queries=[
            SlowQueryAnswer(
                database=slow.database,
                sql=slow.sql,
                queue_ms=round(slow.queue_ms, 3),
                run_ms=round(slow.run_ms, 3),
                worst_ms=round(slow.worst_ms, 3),
                size_bytes=slow.size_bytes,
                ago_s=round(now - slow.at, 1),
                count=slow.count,
                plan=[] if slow.plan is None else [step.detail for step in slow.plan.steps],
                full_scans=[] if slow.plan is None else slow.plan.full_scans,
            )
            for slow in report.slow
        ],
    )


def _pool(pool: PoolStatistics) -> PoolAnswer:
    return PoolAnswer(
        name=pool.name,
        kind=pool.kind,
        worker_count=pool.worker_count,
        alive_count=pool.alive_count,
        busy_count=pool.busy_count,
        waiting_count=pool.waiting_count,
        in_flight_count=pool.in_flight_count,
        completed_count=pool.completed_count,
        failed_count=pool.failed_count,
        timed_out_count=pool.timed_out_count,
        demoted_count=pool.demoted_count,
        restarts_count=pool.restarts_count,
        rejected=pool.rejected,
        wait_p50_us=pool.wait_us.quantile_us(0.5),
        wait_p99_us=pool.wait_us.quantile_us(0.99),
        run_p50_us=pool.run_us.quantile_us(0.5),
        run_p99_us=pool.run_us.quantile_us(0.99),
    )

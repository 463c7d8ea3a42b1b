"""What a pool counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.dispatcher import Dispatcher
    from workers.settings import Kind

BUCKETS_COUNT = 40


class Histogram:
    """Counts of durations by powers of two microseconds: bucket i holds those from 2**(i-1) up to 2**i - 1."""

    __slots__ = ("counts", "total_us")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS_COUNT
        self.total_us = 0

    def add(self, duration_us: int) -> None:
        """Count one duration; below zero counts as zero, beyond the last bucket as the last."""
        duration_us = max(0, duration_us)
        self.total_us += duration_us
        self.counts[min(duration_us.bit_length(), BUCKETS_COUNT - 1)] += 1

    def frozen(self) -> Durations:
        """Return the counts as they stand."""
        return Durations(counts=tuple(self.counts), total_us=self.total_us)


@dataclass(frozen=True, kw_only=True, slots=True)
class Durations:
    """A histogram as it stood; see `Histogram` for its buckets."""

    counts: tuple[int, ...] = (0,) * BUCKETS_COUNT
    total_us: int = 0

    def quantile_us(self, fraction: float) -> int:
        """Return the upper edge in microseconds of the bucket that holds `fraction` of the counts; 0 when empty."""
        total = sum(self.counts)
        rank, seen = fraction * total, 0
        for power, count in enumerate(self.counts):
            seen += count
            if count and seen >= rank:
                return int(2**power)
        return 0


@dataclass(slots=True)
class Tally:
    """What a pool counts as it goes; see `PoolStatistics` for the meanings."""

    completed_count: int = 0
    failed_count: int = 0
    timed_out_count: int = 0
    cancelled_count: int = 0
    demoted_count: int = 0
    recalled_count: int = 0
    interrupted_count: int = 0
    restarts_count: int = 0
    recycled_count: int = 0
    retired_count: int = 0
    unheard_count: int = 0
    abandoned_count: int = 0
    deaths_in_a_row_count: int = 0
    """Workers that died without an answer since the last answer of any."""
    wait_us: Histogram = field(default_factory=Histogram)
    run_us: Histogram = field(default_factory=Histogram)
    interrupt_us: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolStatistics:
    """A pool as it stood; counts are since it opened, `waiting`, `in_flight` and `busy` are of the moment."""

    name: str
    kind: Kind
    worker_count: int
    alive_count: int
    """Of these; the workers for maintenance are beside them."""
    busy_count: int
    """Workers that have at least one call."""
    waiting_count: int
    """Calls in the parent."""
    waiting_bytes: int
    """Bytes of parameters of all calls not answered yet."""
    in_flight_count: int
    """Calls at workers, begun or not."""
    completed_count: int
    failed_count: int
    """Calls answered with an error: of the service, or because their worker died or the pool closed."""
    timed_out_count: int
    cancelled_count: int
    demoted_count: int
    recalled_count: int
    interrupted_count: int
    """Calls that ran when they were told to stop: deadline passed, caller gone, or demoted."""
    interrupt_us: Durations
    """From being told to stop to the worker being free again."""
    restarts_count: int
    """Workers started in the place of others that died."""
    recycled_count: int
    """Workers that were replaced because they had done enough calls, or had too much memory."""
    retired_count: int
    """Workers that ended because there was nothing to do."""
    unheard_count: int
    """Workers that were killed because they did not answer a ping."""
    spares_count: int
    """Workers that wait for a place."""
    resident_bytes: int
    """Memory of the worker processes, as of their last pongs."""
    abandoned_count: int
    """Threads left behind because they would not stop; a process is killed instead."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Calls refused, by reason."""
    wait_us: Durations
    """From the call to its answer, less the time in the service."""
    run_us: Durations
    """Time in the service."""
    fallback_reason: str | None = None
    """Why the pool is not of the kind that was asked for."""


def pool_statistics(
    dispatcher: Dispatcher,
    *,
    name: str,
    kind: Kind,
    worker_count: int,
    spares_count: int,
    fallback_reason: str | None,
) -> PoolStatistics:
    """Return a pool as it stands."""
    slots, tally, admission = dispatcher.slots, dispatcher.ledger.tally, dispatcher.ledger.admission
    in_flight_count = sum(len(slot.in_flight) for slot in slots)
    return PoolStatistics(
        name=name,
        kind=kind,
        worker_count=worker_count,
        alive_count=sum(slot.worker is not None and not slot.is_maintenance for slot in slots),
        busy_count=sum(bool(slot.in_flight) for slot in slots),
        waiting_count=admission.outstanding_count - in_flight_count,
        waiting_bytes=admission.held_bytes,
        in_flight_count=in_flight_count,
        completed_count=tally.completed_count,
        failed_count=tally.failed_count,
        timed_out_count=tally.timed_out_count,
        cancelled_count=tally.cancelled_count,
        demoted_count=tally.demoted_count,
        recalled_count=tally.recalled_count,
        interrupted_count=tally.interrupted_count,
        interrupt_us=tally.interrupt_us.frozen(),
        restarts_count=tally.restarts_count,
        recycled_count=tally.recycled_count,
        retired_count=tally.retired_count,
        unheard_count=tally.unheard_count,
        spares_count=spares_count,
        resident_bytes=sum(slot.resident_bytes for slot in slots),
        abandoned_count=tally.abandoned_count,
        rejected=dict(admission.rejected),
        wait_us=tally.wait_us.frozen(),
        run_us=tally.run_us.frozen(),
        fallback_reason=fallback_reason,
    )

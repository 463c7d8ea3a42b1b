"""What the server's `/metrics` say about its loop and its memory, reading by reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAG_BUCKETS = "dataserver_event_loop_lag_seconds_bucket"
_LAG_WORST = "dataserver_event_loop_lag_worst_seconds"
_MEMORY = ("dataserver_memory_pss_bytes", "dataserver_memory_memfd_bytes")
_POOL_INFO = "dataserver_pool_info"
_POOL_WORKERS = "dataserver_pool_workers"
_BUSY = "dataserver_pool_workers_busy"
_DEPARTURES = "dataserver_http_departures_total"


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """One answer of `/metrics`."""

    lag_counts: Mapping[float, float]
    """Upper edge in seconds -> how often the loop's timer came at most so late, since the start."""
    lag_worst_s: float
    memory_bytes: int
    pool: str
    busy_count: int
    """Workers that run something now, readers and writers."""
    departed_count: int
    """Requests cancelled because their client left, since the start."""


def read_scrape(text: str) -> Scrape:
    """Return what the exposition says; what it does not hold counts as nothing."""
    values: dict[str, float] = {}
    lag_counts: dict[float, float] = {}
    kinds: dict[str, str] = {}
    workers: dict[str, float] = {}
    busy = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            pool = sample.labels.get("pool", "")
            if sample.name == _LAG_BUCKETS:
                lag_counts[float(sample.labels["le"])] = sample.value
            elif sample.name == _POOL_INFO:
                kinds[pool] = sample.labels["kind"]
            elif sample.name == _POOL_WORKERS:
                workers[pool] = sample.value
            elif sample.name == _BUSY:
                busy += sample.value
            else:
                values[sample.name] = sample.value
    return Scrape(
        lag_counts=lag_counts,
        lag_worst_s=values.get(_LAG_WORST, 0.0),
        memory_bytes=int(sum(values.get(name, 0.0) for name in _MEMORY)),
        pool=", ".join(f"{workers.get(pool, 0):.0f} {kind} {pool}" for pool, kind in sorted(kinds.items())),
        busy_count=int(busy),
        departed_count=int(values.get(_DEPARTURES, 0.0)),
    )


def worst_lag_ms(before: Scrape, after: Scrape) -> float:
    """Return what the loop lagged at most between two scrapes.

    The histogram gives the upper edge of a bucket; the gauge, which looks back further than one reading, caps it.
    """
    worst_edge_s = 0.0
    lower_before = lower_after = 0.0
    for edge_s in sorted(after.lag_counts):
        count_before = before.lag_counts.get(edge_s, 0.0)
        count_after = after.lag_counts[edge_s]
        if (count_after - lower_after) > (count_before - lower_before):
            worst_edge_s = edge_s
        lower_before, lower_after = count_before, count_after
    return min(worst_edge_s, after.lag_worst_s) * 1e3

"""What a row of round trips says; pure."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from workers.services.network.messages import Spread

if TYPE_CHECKING:
    from collections.abc import Sequence


def spread_of(samples_ms: Sequence[float]) -> Spread:
    """Return what `samples_ms`, in the order in which they were taken, say."""
    if not samples_ms:
        return Spread()
    ordered = sorted(samples_ms)
    steps = [abs(after - before) for before, after in pairwise(samples_ms)]
    return Spread(
        min_ms=ordered[0],
        mean_ms=math.fsum(ordered) / len(ordered),
        p50_ms=percentile(ordered, 0.50),
        p90_ms=percentile(ordered, 0.90),
        p99_ms=percentile(ordered, 0.99),
        max_ms=ordered[-1],
        jitter_ms=math.fsum(steps) / len(steps) if steps else 0.0,
    )


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """Return the least value of `ordered` that `fraction` of all do not exceed."""
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]

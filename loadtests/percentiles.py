"""Percentiles by nearest rank: a value that was measured, never one between two."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALL = 100


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values do not exceed.

    Raises:
        ValueError: There are no values, or `percent` is not above 0 and at most 100.
    """
    if not values:
        raise ValueError("a percentile of no values")
    if not 0 < percent <= _ALL:
        raise ValueError(f"percent is {percent}; above 0 and at most {_ALL} is allowed")
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / _ALL) - 1]

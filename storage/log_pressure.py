"""Which reads have to end so that a write-ahead log can be cut. Pure.

A log starts again from its beginning only when nobody reads it, so one reader that stays makes it grow with every
write, without end. Reads that are short end by themselves; the older ones are ended, with an error that says why, once
the log passes half of its bound, and hardly any is left in peace once it has passed all of it: then writers wait.
"""

from __future__ import annotations

from math import inf

PATIENCE_S = 1.0
"""A read that is younger is left alone from half of the bound on: to repeat it costs more than to wait."""
LAST_PATIENCE_S = 0.05


def patience_s(log_bytes: int, max_bytes: int) -> float:
    """Return how old a read may be that holds a log of `log_bytes`."""
    if log_bytes < max_bytes // 2:
        return inf
    return PATIENCE_S if log_bytes < max_bytes else LAST_PATIENCE_S

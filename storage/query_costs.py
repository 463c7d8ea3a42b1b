"""What one read cost, measured on demand.

Counting steps for every statement would triple the cost of a point read: SQLite's profile calls back into Python, 1.6 us
became 6.1 us (2026-11-23). So a read is measured when somebody asks, by running it; all reads have their time in the
queue and in the worker in the pool's histograms, and slow ones are in the log of slow queries, which costs one
comparison of integers a call.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryCost:
    """A read that was run for this; times are in microseconds."""

    queue_us: int
    """Waiting for a worker, and the way there and back."""
    lock_us: int
    """Until the state to be read was held."""
    step_us: int
    """Stepping through all rows, without making anything of them."""
    encode_us: int
    """What making JSON of them added."""
    size_bytes: int
    """Of the JSON."""
    row_count: int
    vm_steps: int
    """Steps of SQLite's machine."""
    scan_steps: int
    """Rows that were passed in full scans."""
    sort_count: int
    automatic_index_rows: int
    """Rows put into indexes that were made for this statement alone."""
    pages_hit: int
    pages_missed: int
    """Pages that were in the cache, and those that were read from the file."""

"""Runs a read to see what it costs: held in one state, once as JSON and once for its steps alone.

It has a connection of its own, whose page cache is empty at first.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import apsw

if TYPE_CHECKING:
    from storage.sqlite.reader import Params, Reader


def measured(reader: Reader, sql: str, params: Params, max_bytes: int) -> dict[str, int]:
    """Return what `sql` costs on `reader`, which is closed then: the fields of `QueryCost` but for the queue.

    Raises:
        StorageError: See the members of its tree that a read can raise.
    """
    connection = reader.connection
    profile: dict[str, Any] = {}
    try:
        began = time.monotonic_ns()
        reader.hold_state()
        held = time.monotonic_ns()
        before = _pages(connection)
        answer = reader.json(sql, params, "arrays", False, max_bytes)
        size_bytes = len(answer) if isinstance(answer, bytes) else answer.length
        after = _pages(connection)
        made = time.monotonic_ns()
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, profile.update)
        row_count = reader.stepped(sql, params)
        stepped = time.monotonic_ns()
    finally:
        reader.close()
    counts = profile.get("stmt_status", {})
    return {
        "lock_us": (held - began) // 1000,
        "step_us": (stepped - made) // 1000,
        "encode_us": max(0, (made - held) - (stepped - made)) // 1000,
        "size_bytes": size_bytes,
        "row_count": row_count,
        "vm_steps": counts.get("SQLITE_STMTSTATUS_VM_STEP", 0),
        "scan_steps": counts.get("SQLITE_STMTSTATUS_FULLSCAN_STEP", 0),
        "sort_count": counts.get("SQLITE_STMTSTATUS_SORT", 0),
        "automatic_index_rows": counts.get("SQLITE_STMTSTATUS_AUTOINDEX", 0),
        "pages_hit": after[0] - before[0],
        "pages_missed": after[1] - before[1],
    }


def _pages(connection: apsw.Connection) -> tuple[int, int]:
    """Return how many pages were in the cache when they were needed, and how many were not, so far."""
    return (
        connection.status(apsw.SQLITE_DBSTATUS_CACHE_HIT)[0],
        connection.status(apsw.SQLITE_DBSTATUS_CACHE_MISS)[0],
    )

"""The file every candidate reads: rows of seven columns, the same in all sizes; each candidate gets a copy of its own.

Copies, because the stdlib's sqlite3 deletes the WAL of a file that apsw has open in one process, and because a peer's
checkpoint must not be paid by its neighbour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = "items"  # STRICT: SQLite proves that its columns hold no BLOB
LOOSE_ITEMS = "loose_items"  # the same rows without STRICT: every column has to be guarded

_COLUMNS = """
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    price REAL NOT NULL,
    stock INTEGER NOT NULL,
    note TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL
"""
_FILL = """
WITH RECURSIVE numbers(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM numbers WHERE i < :count)
INSERT INTO {table}
SELECT i, 'item ' || i, 'category ' || (i % 40), (i * 37 % 10000) / 100.0, i * 7 % 1000,
       'a note of ordinary length about item ' || i, 1700000000000 + i
FROM numbers
"""


def create(path: Path, *, item_count: int) -> None:
    """Write the file."""
    connection = apsw.Connection(str(path))
    try:
        connection.pragma("journal_mode", "wal")
        tables = {ITEMS: (item_count, "STRICT"), LOOSE_ITEMS: (item_count, "")}
        for table, (count, strict) in tables.items():
            connection.execute(f"CREATE TABLE {table} ({_COLUMNS}) {strict}")
            connection.execute(_FILL.format(table=table), {"count": count})
        connection.execute(
            "CREATE TABLE written (id INTEGER PRIMARY KEY, author INTEGER NOT NULL, body TEXT NOT NULL) STRICT"
        )
        connection.pragma("wal_checkpoint(truncate)")
    finally:
        connection.close()

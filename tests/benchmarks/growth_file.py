"""Tables of the same narrow rows in ever larger numbers, in a file of their own that goes with the row it was made for.

Each is written by one statement and indexed by another. Figures (2026-11-23): up to 10^7 rows 21 s of CPU time and 300 MiB;
48 s by the wall on two cores with a load of 9. So it has a limit, and what is not there by then is not measured.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CACHE_KIB = 256 * 1024
_STEPS_BETWEEN_LOOKS = 1_000_000
_FILL = """
WITH RECURSIVE numbers(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM numbers WHERE i < ?1)
INSERT INTO {table} (id, owner, amount) SELECT i, i * 7919 % ?1, i % 1000 FROM numbers
"""


def create(path: Path, row_counts: Sequence[int], *, limit_s: float) -> list[int]:
    """Write the tables, named by `grown_table`, and return of how many rows each is; those not there by the limit are left out."""
    until = time.monotonic() + limit_s
    made: list[int] = []
    connection = apsw.Connection(str(path))
    try:
        for pragma in ("journal_mode = memory", "synchronous = off", f"cache_size = -{_CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
        for count in row_counts:
            table = grown_table(count)
            connection.execute(
                f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, amount INTEGER NOT NULL) STRICT"
            )
            connection.execute(_FILL.format(table=table), (count,))
            connection.execute(f"CREATE INDEX {table}_by_owner ON {table} (owner)")
            made.append(count)
        connection.pragma("journal_mode", "wal")
    except apsw.InterruptError:
        pass  # the limit is over; what was under way is undone
    finally:
        connection.close()
    return made


def grown_table(row_count: int) -> str:
    """Return the name of the table that holds `row_count` rows at first."""
    return f"grown_{row_count}"

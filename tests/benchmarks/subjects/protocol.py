"""What every candidate of the benchmark can do; each does it in the quickest way its users would find."""

from __future__ import annotations

from functools import cache
from typing import Protocol

_COLUMNS = "SELECT id, name, category, price, stock, note, updated_at_ms FROM"
INSERT = "INSERT INTO written (author, body) VALUES (?, ?)"
BODY = "a message of ordinary length, as people write them in a chat, give or take a word"
SCAN = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(*) FROM n"


@cache  # a statement is written once, as in a program; its making is no part of a read
def read_one(table: str) -> str:
    """Return the statement for the row of one key."""
    return f"{_COLUMNS} {table} WHERE id = ?"


@cache
def page(table: str) -> str:
    """Return the statement for the 50 rows after a key."""
    return f"{_COLUMNS} {table} WHERE id > ? ORDER BY id LIMIT 50"


@cache
def all_rows(table: str) -> str:
    """Return the statement for all rows up to a key."""
    return f"{_COLUMNS} {table} WHERE id <= ?"


class Candidate(Protocol):
    """One way to reach a SQLite file from an event loop."""

    async def open(self, path: str) -> None:
        """Open the file; nothing is measured before this returns."""

    async def close(self) -> None:
        """Let go of the file."""

    async def read_one(self, table: str, key: int) -> object:
        """Return one row, as Python values."""

    async def page_json(self, table: str, after: int) -> bytes:
        """Return the JSON of the 50 rows after a key, as objects."""

    async def rows_json(self, table: str, count: int) -> int:
        """Make the JSON of the first `count` rows and walk over it as a server would; return its bytes."""

    async def write_one(self, author: int) -> None:
        """Insert one row; it is on disk when this returns."""

    async def scan(self, steps: int) -> None:
        """Run one long query that touches no table."""

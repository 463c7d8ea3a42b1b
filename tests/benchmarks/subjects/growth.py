"""This project's storage on tables that differ in nothing but their number of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tests.benchmarks.growth_file import grown_table
from tests.benchmarks.subjects.ours import Ours
from tests.benchmarks.subjects.workloads import STRIDE, rate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PAGE_ROWS = 50


class Grown(Ours):
    """`ours` with the statements of the narrow rows."""

    async def read(self, table: str, key: int) -> object:
        """Read one row."""
        return await self.db.query_one(f"SELECT id, owner, amount FROM {table} WHERE id = ?", (key,))  # noqa: S608 - ours

    async def page(self, table: str, after: int) -> object:
        """Make the JSON of a keyset page."""
        sql = f"SELECT id, owner, amount FROM {table} WHERE id > ? ORDER BY id LIMIT {_PAGE_ROWS}"  # noqa: S608 - ours
        return await self.db.query_json(sql, (after,))

    async def insert(self, table: str, owner: int) -> object:
        """Add a row, whose place in the index is anywhere."""
        return await self.db.execute(f"INSERT INTO {table} (owner, amount) VALUES (?, 1)", (owner,))  # noqa: S608 - ours


async def grown(
    candidate: Grown,
    *,
    what: Literal["read", "page", "insert"],
    row_count: int,
    seconds: float,
    in_flight: int,
) -> dict[str, float]:
    """Do one thing again and again, all over the table."""
    table = grown_table(row_count)
    act = getattr(candidate, what)
    span = row_count - _PAGE_ROWS if what == "page" else row_count
    per_s = await rate(
        lambda number: act(table, number * STRIDE % span + 1), seconds=seconds, in_flight=in_flight
    )
    return {"per_s": per_s}


GROWTH_WORKLOADS: dict[str, Callable[..., Awaitable[dict[str, float]]]] = {"grown": grown}

"""What is known of the tables of each database, so that reading a row does not first read the schema.

Writes that may change a schema drop what is known. The data folder belongs to one process, but commands reach it by
another way than HTTP, so what is known also ages: it is read again every `FRESH_S`, by one request while the others
go on with the old, and a statement that fails on it is tried once more after reading it again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from dataserver.refusals import TableNotFound, UnknownColumn
from dataserver.rows.columns import Column, columns_of
from dataserver.rows.keys import Key, key_of
from dataserver.rows.keyset import Order, order_of
from dataserver.rows.search import RANK, RANK_COLUMN
from dataserver.rows.writes import point_sql
from storage import SqlError

if TYPE_CHECKING:
    from storage import Database, Databases, TableInfo
    from workers import Clock

_T = TypeVar("_T")
FRESH_S: Final = 10.0
MAX_DATABASE_COUNT: Final = 1_000
MAX_ORDER_COUNT: Final = 64
_KEEPS_SCHEMA = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|REPLACE|SELECT)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Table:
    """A table, with what is made from its description once."""

    info: TableInfo
    columns: dict[str, Column]
    key: Key | None
    point_sql: str
    """The statement for one row by its key; empty where there is no key."""
    orders: dict[tuple[str | None, bool], Order] = field(default_factory=dict)
    """Orders that were asked for, by their text, and whether in a search."""

    def order(self, text: str | None, *, in_search: bool = False) -> Order:
        """Return the order that `?order=` asks for; in a search it is by rank if nothing else is asked for.

        Raises:
            UnknownColumn: A column that the table lacks.
            InvalidParameter: A column twice, or too many of them.
        """
        found = self.orders.get((text, in_search))
        if found is None:
            if len(self.orders) >= MAX_ORDER_COUNT:
                self.orders.clear()
            columns = self.columns | {RANK: RANK_COLUMN} if in_search else self.columns
            wanted = RANK if in_search and text is None else text
            found = self.orders[text, in_search] = order_of(wanted, columns, self.key)
        return found


@dataclass(slots=True)
class _Known:
    tables: dict[str, Table]
    fresh_until: float


def described(info: TableInfo) -> Table:
    """Return `info` with what is made from it."""
    key = key_of(info)
    return Table(info, columns_of(info), key, "" if key is None else point_sql(info.name, key))


class Schemas:
    """The tables of all databases, as far as anybody asked."""

    def __init__(self, databases: Databases, clock: Clock) -> None:
        self._databases = databases
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def known(self, database: str, table: str) -> Table | None:
        """Return a table if it is known and fresh; costs no await."""
        known = self._known.get(database)
        if known is None or known.fresh_until < self._clock.monotonic():
            return None
        return known.tables.get(table)

    async def table(self, database: str, table: str) -> Table:
        """Return a table, reading the schema when it is not known or not fresh.

        Raises:
            DatabaseNotFound: There is no such database.
            TableNotFound: It has no such table or view.
        """
        self._databases.get(database)
        found = self.known(database, table)
        if found is None:
            found = (await self.tables(database)).get(table)
        if found is None:
            raise TableNotFound(f"the database {database!r} has no table {table!r}")
        return found

    async def tables(self, database: str) -> dict[str, Table]:
        """Return all tables of a database, read anew."""
        known = self._known.get(database)
        if known is not None:
            known.fresh_until = self._clock.monotonic() + FRESH_S  # others go on with the old one meanwhile
        handle: Database = self._databases.get(database)
        tables = {info.name: described(info) for info in await handle.tables()}
        if len(self._known) >= MAX_DATABASE_COUNT:
            self._known.pop(next(iter(self._known)))
        self._known[database] = _Known(tables, self._clock.monotonic() + FRESH_S)
        return tables

    async def using(self, database: str, table: str, act: Callable[[Table], Awaitable[_T]]) -> _T:
        """Do `act` on a table; once more, if it fails because the schema is not what was known of it.

        Raises:
            TableNotFound: There is no such table or view.
        """
        known = await self.table(database, table)
        try:
            return await act(known)
        except (SqlError, UnknownColumn):
            self.forget(database)
            again = await self.table(database, table)
            if again.info == known.info:
                raise
            return await act(again)

    def forget(self, database: str) -> None:
        """Drop what is known of a database."""
        self._known.pop(database, None)

    def written(self, database: str, sql: str) -> None:
        """Take note that `sql` was executed: unless it can only change rows, the schema is read again."""
        if not _KEEPS_SCHEMA.match(sql):
            self.forget(database)

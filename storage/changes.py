"""What was changed in the tables that are followed: values, places in the log, and whoever reads on from one.

A feed holds no task and no connection: it reads the log from its cursor, and waits to be stirred when it is at the
end. Who falls behind reads the log by itself, in pages; who falls behind what is kept of it is told (`HistoryLost`),
and begins again with a snapshot. The numbers of a log have no holes, so a change that is missing shows.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from typing_extensions import override

from storage.errors import SqlError, TableNotFollowed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from storage.change_log import ChangeLog
    from storage.queries import Queries

Op = Literal["insert", "update", "delete", "follow", "unfollow"]

_CURSOR = re.compile(r"([0-9a-f]{16})-(0|[1-9][0-9]{0,18})")
_END = "SELECT epoch, coalesce((SELECT max(seq) FROM _changes), 0) FROM _changes_log"
_FOLLOWED = 'SELECT "table" FROM _changes_followed ORDER BY 1'


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log of changes, behind the change `seq`."""

    epoch: str
    """Which history: a restored database begins another one."""
    seq: int

    @override
    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return what `str` made of a cursor.

        Raises:
            ValueError: `text` is no cursor.
        """
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no cursor; one looks like 0123456789abcdef-42")
        return cls(found[1], int(found[2]))


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one row; or, with an empty key, that a table is followed from here on, or not any more."""

    epoch: str
    seq: int
    at_ms: int
    """By the clock of whoever wrote; UTC."""
    table: str
    op: Op
    key: list[Any]
    """The values of the primary key, or the rowid where there is none."""
    old: dict[str, Any] | None = None
    """The row before, where values are logged; None for an INSERT."""
    new: dict[str, Any] | None = None
    """The row after, where values are logged; None for a DELETE."""

    @property
    def cursor(self) -> Cursor:
        """The place behind this change."""
        return Cursor(self.epoch, self.seq)


class ChangeFeed:
    """The changes after a cursor, in their order, for one reader; made by `Database.changes`."""

    def __init__(self, log: ChangeLog, tables: Collection[str] | None, since: Cursor | None) -> None:
        self._log = log
        self._tables = None if tables is None else {table.lower() for table in tables}
        self._cursor = since
        self._is_begun = False
        self._ready: deque[Change] = deque()

    async def begin(self) -> Cursor:
        """Return the place from which changes are told: the cursor given, or else the end of the log now.

        Raises:
            TableNotFollowed: One of the tables asked for is not followed, or none is.
            HistoryLost: What came after the cursor is not in the log any more.
            StorageError: As `Database.query`.
        """
        if not self._is_begun or self._cursor is None:
            await self._log.require(self._tables)
            if self._cursor is None:
                self._cursor = await self._log.end()
            await self._log.after(self._cursor)
            self._is_begun = True
        return self._cursor

    @property
    def cursor(self) -> Cursor | None:
        """The place behind what was told, or passed over because it is of other tables; None before `begin`."""
        if self._ready:
            first = self._ready[0]
            return Cursor(first.epoch, first.seq - 1)
        return self._cursor

    async def page(self, wait_s: float) -> Sequence[Change]:
        """Return some of the changes that come next, waiting up to `wait_s` for the first; it may return none before.

        Raises:
            HistoryLost: The next change is not in the log any more.
            StorageError: As `Database.query`; calling again is safe, and loses nothing.
        """
        cursor = await self.begin()
        stirs = self._log.stirs
        found = await self._log.after(cursor)
        if not found and wait_s > 0:
            await self._log.wait(stirs, wait_s)
            found = await self._log.after(cursor)
        if found:
            self._cursor = found[-1].cursor
        if self._tables is None:
            return found
        return [change for change in found if change.table.lower() in self._tables]

    def __aiter__(self) -> ChangeFeed:
        return self

    async def __anext__(self) -> Change:
        while not self._ready:
            self._ready.extend(await self.page(_FOREVER_S))
        return self._ready.popleft()


_FOREVER_S = 3_600.0


async def change_cursor(source: Queries) -> Cursor:
    """Return the end of the log as `source` sees it: a snapshot tells the change that is its last.

    Raises:
        TableNotFollowed: There is no log.
        StorageError: As `Queries.query`.
    """
    try:
        rows = await source.query(_END)
    except SqlError as error:
        raise _no_log() from error
    return Cursor(*rows[0])


async def followed_tables(source: Queries) -> list[str]:
    """Return the tables whose changes are logged, by name.

    Raises:
        StorageError: As `Queries.query`.
    """
    try:
        return [name for (name,) in await source.query(_FOLLOWED)]
    except SqlError:
        return []


def _no_log() -> TableNotFollowed:
    return TableNotFollowed("no table of the database was ever followed")

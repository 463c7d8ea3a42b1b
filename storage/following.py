"""What a database offers to those who follow it: which tables are logged, the changes, and queries that answer again."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from storage.changes import ChangeFeed, Cursor
from storage.live_queries import LiveAnswer, LiveAnswers, LiveQuery
from storage.parameters import bound
from storage.pool_errors import UNENCODABLE, refused_parameters
from storage.queries import Queries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from storage.change_log import ChangeLog

    Params = Sequence[Any] | Mapping[str, Any]

T = TypeVar("T")

_STORED_TABLES = "SELECT lower(name) FROM sqlite_schema WHERE type = 'table'"


class Following(Queries):
    """What can be read from, and followed as it changes."""

    def __init__(self, *, max_result_bytes: int) -> None:
        super().__init__(max_result_bytes=max_result_bytes)
        self._live = LiveAnswers()

    @property
    @abstractmethod
    def change_log(self) -> ChangeLog:
        """The log of its changes."""

    async def follow_tables(self, tables: Collection[str], *, values: bool = False) -> Cursor:
        """Log each change of a row in `tables` from now on, whoever makes it; return where the log stands then.

        A change has the row's key; with `values` the row before and after it too, which costs as much disk again. A
        table that is followed may be altered, but neither dropped nor renamed. The log is a part of the database.

        Raises:
            TableNotFollowed: There is no such table, or it can't be followed; the text says why.
            StorageError: As `execute`.
        """
        return Cursor(*await self._write("follow", [list(tables), values], None))

    async def unfollow_tables(self, tables: Collection[str]) -> Cursor:
        """Log no more changes in `tables`; what was logged is kept as long as ever.

        Raises:
            TableNotFollowed: One of them is not followed.
            StorageError: As `execute`.
        """
        return Cursor(*await self._write("unfollow", [list(tables)], None))

    async def keep_changes(self, *, max_count: int, max_age_s: float) -> None:
        """Keep about so many changes, and for so long; older ones go as new ones come. At first: 100,000, and 7 days.

        Raises:
            TableNotFollowed: No table was ever followed.
            StorageError: As `execute`.
        """
        await self._write("keep_changes", [max_count, int(max_age_s * 1000)], None)

    def changes(self, tables: Collection[str] | None = None, since: Cursor | None = None) -> ChangeFeed:
        """Return an iterator over the changes after `since`, or else from its `begin` on, as they are committed.

        It ends with an error only, or when nobody asks any more; no task and no connection stands behind it. To have all of
        a table: `change_cursor(snapshot)`, read the snapshot, then follow from that cursor.

        Raises:
            TableNotFollowed, HistoryLost, StorageError: When it is asked; see `ChangeFeed.page`.
        """
        return ChangeFeed(self.change_log, tables, since)

    def live_query(self, sql: str, params: Params = ()) -> LiveQuery[list[tuple[Any, ...]]]:
        """Return an iterator over the rows of `sql`: as they are now, and again whenever they are others.

        All tables that it reads have to be followed. It runs once for all who ask the same.

        Raises:
            ParameterMismatch: A parameter is nothing that SQLite stores.
            TableNotFollowed, StorageError: When it is asked; see `LiveQuery.next_answer`.
        """
        return self._live_answers(sql, params, "rows", lambda: self.query(sql, params))

    def live_json(
        self, sql: str, params: Params = (), *, shape: Literal["objects", "arrays"] = "objects"
    ) -> LiveQuery[bytes]:
        """Return an iterator as `live_query`, over what `query_body` gives with its columns.

        Raises:
            ParameterMismatch, TableNotFollowed, StorageError: As `live_query`.
        """

        async def read() -> bytes:
            with await self.query_body(sql, params, shape=shape, envelope=True) as body:
                return await body.read()

        return self._live_answers(sql, params, shape, read)

    def _live_answers(
        self, sql: str, params: Params, form: str, read: Callable[[], Awaitable[T]]
    ) -> LiveQuery[T]:
        key = [form, sql, bound(params)]
        try:
            return self._live.shared(
                key, lambda: LiveAnswer(self.change_log, read, lambda: self._tables_read(sql))
            )
        except UNENCODABLE as error:
            raise refused_parameters(error) from error

    async def _tables_read(self, sql: str) -> list[str]:
        """Return the tables that `sql` reads, without views and what is no table of the database."""
        found = await self._read("tables_read", [sql], sql, None)
        stored = {name for (name,) in await self.query(_STORED_TABLES)}
        return [name for name in found if name in stored]

    @abstractmethod
    async def _write(self, method: str, sent: list[Any], timeout_s: float | None) -> Any:
        """Have the writer do `method`; `sent` is what it takes after the database.

        Raises:
            StorageError: As `Database.execute`.
        """

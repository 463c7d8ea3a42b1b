"""The ways to ask for rows: alike for a database, whose state may change between two reads, and for a snapshot of it.

Nothing here runs SQL: a question goes to a worker, and what comes back is bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from storage.parameters import bound
from storage.query_plans import plan_of
from storage.row_values import unpacked, wants_maps
from workers import Body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.query_plans import QueryPlan

    Params = Sequence[Any] | Mapping[str, Any]

T = TypeVar("T")

EXPLAIN = "EXPLAIN QUERY PLAN "
"""What makes SQLite tell how it would run the statement that follows."""


class Queries(ABC):
    """What rows can be read from."""

    def __init__(self, *, max_result_bytes: int) -> None:
        self._max_result_bytes = max_result_bytes

    @overload
    async def query(
        self, sql: str, params: Params = ..., *, timeout_s: float | None = ...
    ) -> list[tuple[Any, ...]]: ...
    @overload
    async def query(
        self, sql: str, params: Params = ..., *, into: type[T], timeout_s: float | None = ...
    ) -> list[T]: ...
    async def query(
        self, sql: str, params: Params = (), *, into: type[T] | None = None, timeout_s: float | None = None
    ) -> list[T] | list[tuple[Any, ...]]:
        """Return all rows of `sql` as tuples, or as `into`: a struct, dataclass or the like by the columns' names.

        Text that is not UTF-8 has U+FFFD where it is not. For more than some thousands of rows `query_body` and
        `stream_json` are better: Python objects are made on the event loop's thread.

        Raises:
            StorageError: SqlError, NotReadOnly, NotAllowed, ParameterMismatch: mend the call. QueryTimedOut,
                ResultTooLarge: ask for less. StorageSaturated, StorageUnavailable: call again.
            RowMismatch: A row does not fit `into`.
        """
        sent = self._about_rows(sql, params, into, 0)
        return await unpacked(await self._read("rows", sent, sql, timeout_s), into)

    @overload
    async def query_one(
        self, sql: str, params: Params = ..., *, timeout_s: float | None = ...
    ) -> tuple[Any, ...] | None: ...
    @overload
    async def query_one(
        self, sql: str, params: Params = ..., *, into: type[T], timeout_s: float | None = ...
    ) -> T | None: ...
    async def query_one(
        self, sql: str, params: Params = (), *, into: type[T] | None = None, timeout_s: float | None = None
    ) -> T | tuple[Any, ...] | None:
        """Return the first row of `sql`, None if it has none; the others are not read.

        Raises:
            StorageError: As `query`.
        """
        sent = self._about_rows(sql, params, into, 1)
        rows = await unpacked(await self._read("rows", sent, sql, timeout_s), into)
        return rows[0] if rows else None

    async def query_json(
        self,
        sql: str,
        params: Params = (),
        *,
        shape: Literal["objects", "arrays"] = "objects",
        timeout_s: float | None = None,
    ) -> bytes:
        """Return all rows of `sql` as a JSON array of objects or arrays, written by SQLite.

        A BLOB is `{"$base64": ...}`, an infinity null, an integer all its digits; of two columns of a name the
        second is `name_2`. The rules stand in `storage.sqlite.json_results`.

        Raises:
            StorageError: As `query`.
        """
        sent = [sql, bound(params), shape, False, self._max_result_bytes]
        result: bytes | Body = await self._read("json", sent, sql, timeout_s)
        if not isinstance(result, Body):
            return result
        with result:
            return await result.read()

    async def query_body(
        self,
        sql: str,
        params: Params = (),
        *,
        shape: Literal["objects", "arrays"] = "objects",
        envelope: bool = False,
        timeout_s: float | None = None,
    ) -> Body:
        """Return the answer of `query_json` as a body, which the caller closes: a file when it is large.

        With `envelope` it is `{"columns": [...], "rows": [...]}`.

        Raises:
            StorageError: As `query`.
        """
        sent = [sql, bound(params), shape, envelope, self._max_result_bytes]
        result: bytes | Body = await self._read("json", sent, sql, timeout_s)
        return result if isinstance(result, Body) else Body((result,))

    async def explain(self, sql: str, params: Params = (), *, timeout_s: float | None = None) -> QueryPlan:
        """Return how SQLite would run `sql`, which may also be one that writes; it is not run.

        Raises:
            StorageError: As `query`.
        """
        rows = await self.query(f"{EXPLAIN}{sql}", params, timeout_s=timeout_s)
        return plan_of(rows)

    def _about_rows(self, sql: str, params: Params, into: type | None, max_count: int) -> list[Any]:
        as_maps = into is not None and wants_maps(into)
        return [sql, bound(params), as_maps, max_count, self._max_result_bytes]

    @abstractmethod
    async def _read(self, method: str, sent: list[Any], sql: str | None, timeout_s: float | None) -> Any:
        """Have a worker read; `sent` is what the method takes after the database (see `ReaderService`).

        Raises:
            StorageError: As `query`.
        """

"""Functions that callers send to the writer: found by name, run inside a transaction with others, all or nothing.

A function that reads, decides and writes costs one hop instead of one a statement, and holds nobody up between them.
It gets a `WriteTransaction` and plain values, and returns plain values. It may run more than once before it counts
(a transaction that a neighbour broke is run again), so it does nothing but what its transaction does.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from operator import length_hint
from typing import TYPE_CHECKING, Any, TypeVar

import apsw
import msgspec

from storage.errors import ConstraintViolated, NotAllowed, ParameterMismatch, TransactionLost
from storage.parameters import bound
from storage.sqlite.errors import translation
from storage.sqlite.statements import changes_rows_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from storage.errors import StorageError
    from storage.sqlite.writer_connection import WriterConnection

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode


class WriteTransaction:
    """What a function sent to the writer works with; its calls return when SQLite has run them."""

    def __init__(self, file: WriterConnection) -> None:
        self._file = file
        self.is_lost = False
        """A statement ended the transaction around it, so what comes after can't belong to it."""

    def execute(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Run one statement that changes rows, and return how many it changed.

        Raises:
            ConstraintViolated: A rule of the schema refused it; the function may go on.
            StorageError, apsw.Error: It failed; let it out of the function, of which nothing is kept then.
        """
        changes: int = self._run(sql, params)[0]
        return changes

    def insert(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Run one INSERT and return the rowid of the row, 0 if it inserted none.

        Raises:
            StorageError, apsw.Error: As `execute`.
        """
        rowid: int = self._run(sql, params)[1]
        return rowid

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT, or what RETURNING gives; they show what was written before in this transaction.

        Raises:
            StorageError, apsw.Error: As `execute`.
        """
        result = self._run(sql, params)
        return list(result[3]) if len(result) > 2 else []  # noqa: PLR2004 - changes and rowid come first

    def query_one(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row of `query`, None if there is none.

        Raises:
            StorageError, apsw.Error: As `execute`.
        """
        rows = self.query(sql, params)
        return rows[0] if rows else None

    def expect_many_rows(self) -> None:
        """Keep more pages in memory until the transaction ends; for one that writes hundreds of thousands of rows."""
        self._file.widen_cache()

    def execute_each(
        self, sql: str, rows: Sequence[Sequence[Any]], on_refused: Callable[[int, StorageError], None]
    ) -> int:
        """Run one statement that changes rows for each of `rows`; return how many of them were not refused.

        One that a rule of the schema refuses, or whose values are none that SQLite stores, is told to `on_refused` by its
        place in `rows` (a list or tuple) and leaves nothing; the others go on, unless that raises.

        Raises:
            StorageError, apsw.Error: As `execute`; what was run before stays a part of the transaction.
        """
        waiting = iter(rows)
        refused_count = 0
        while length_hint(waiting):
            try:
                self.execute(sql, next(waiting))  # looks at the text
                self._guarded(lambda: self._file.statements.execute_each(sql, waiting))
            except (ConstraintViolated, ParameterMismatch) as error:
                if self.is_lost:
                    raise
                refused_count += 1
                on_refused(len(rows) - length_hint(waiting) - 1, error)
        return len(rows) - refused_count

    def _run(self, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
        if not changes_rows_only(sql):
            raise NotAllowed("a function changes rows only; the schema is the business of migrations")
        return self._guarded(lambda: self._file.statements.execute(sql, bound(params)))

    def _guarded(self, act: Callable[[], T]) -> T:
        """Do `act`, and notice whether the transaction is still there."""
        if self.is_lost:
            raise TransactionLost("a statement before this one ended the transaction")
        self._file.watch.require_time()
        try:
            return act()
        except (apsw.ConstraintError, apsw.MismatchError) as error:
            raise translation(error) or error from error
        finally:
            self.is_lost = not self._file.connection.in_transaction


def run(file: WriterConnection, name: str, args: Sequence[Any]) -> Any:
    """Run the function `name` on the open transaction of `file`, and return its result.

    Raises:
        ParameterMismatch: There is no such function, or its result is nothing that MessagePack carries.
        TransactionLost: It went on after a statement that ended the transaction.
        Exception: Whatever it raises; nothing of it is to be kept.
    """
    transaction = WriteTransaction(file)
    result = _found(name)(transaction, *args)
    if transaction.is_lost:
        raise TransactionLost("a statement ended the transaction of the function")
    try:
        _encode(result)  # now, while it can still be undone
    except (TypeError, ValueError, OverflowError) as error:
        raise ParameterMismatch(f"what {name} returned can't be sent: {error}") from error
    return result


@lru_cache(maxsize=1024)
def _found(name: str) -> Callable[..., Any]:
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ParameterMismatch(f"the worker finds no function {name}") from error
    function: Callable[..., Any] = found
    return function

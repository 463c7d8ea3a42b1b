"""Transactions that a caller holds open on the writer: leased, and waited for by everybody else who writes.

Other writes to the database wait at the gate while one is open. Its lease is the time that it may keep them waiting;
after that the first of them ends it, and its holder is told at the next call. Where nobody waits, nobody ends it.
Nothing of ours uses this: a function sent to the writer (`Database.write`) or a batch holds nobody up between
statements, and is quicker.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, overload

import anyio

from storage.errors import (
    StorageError,
    StorageUnavailable,
    TransactionLost,
    WriteOutcomeUnknown,
)
from storage.function_names import name_of
from storage.parameters import bound
from storage.pool_errors import UNENCODABLE, failed_write, refused_parameters
from storage.row_values import T, told_rows
from storage.written import Written, written
from workers import WorkersError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from storage.write_gate import WriteGate
    from workers import Pool, Session

    Params = Sequence[Any] | Mapping[str, Any]

_END_S = 5.0
"""How long the end of a transaction is waited for; the worker rolls back what it hears nothing more of."""

_numbers = count(1)


class Transaction:
    """An open transaction; made by `Database.transaction`, usable until that is left. One call at a time."""

    _session: Session

    def __init__(self, gate: WriteGate, path: str, *, lease_s: float, timeout_s: float) -> None:
        self._gate = gate
        self._path = path
        self._number = next(_numbers)
        self._lease_s = lease_s
        self._timeout_s = timeout_s
        self._depth = 0
        self._lost = ""
        self._is_open = False
        self._ended = anyio.Event()
        self._scope = anyio.CancelScope()
        self.lease_until = float("inf")
        """Until then (monotonic) others wait; from then on the first of them ends it."""

    async def execute(self, sql: str, params: Params = (), *, timeout_s: float | None = None) -> Written:
        """Run one statement in the transaction; what it did is on disk once the transaction is committed.

        One that fails leaves nothing behind, and the transaction goes on.

        Raises:
            TransactionLost: It was ended: its lease was over, or a statement or a dead worker ended it.
            StorageError: As `Database.execute`.
        """
        return written(*await self._call("execute", [sql, bound(params)], timeout_s))

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
        """Return the rows of `sql`, with what the transaction has written so far.

        Raises:
            TransactionLost, StorageError: As `execute`.
            RowMismatch: A row does not fit `into`.
        """
        result = await self._call("execute", [sql, bound(params)], timeout_s)
        columns, rows = result[2:] if len(result) > 2 else ([], [])  # noqa: PLR2004 - changes and rowid come first
        return told_rows(columns, rows, into)

    async def run(self, function: Callable[..., Any], *args: Any, timeout_s: float | None = None) -> Any:
        """Have the writer run `function(transaction, *args)` in the transaction, and return its result.

        As `Database.write`, but that it runs once; if it raises, nothing of it is left and the transaction goes on.

        Raises:
            ValueError, PortableError: As `Database.write`.
            TransactionLost, StorageError: As `execute`.
        """
        return await self._call("function", [name_of(function), list(args)], timeout_s)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is done inside if it is left by an exception; they nest.

        Raises:
            TransactionLost, StorageError: As `execute`.
        """
        self._depth += 1
        depth = self._depth
        try:
            await self._call("mark", [depth], None)
            try:
                yield
            except BaseException:
                with anyio.move_on_after(_END_S, shield=True):
                    if not self._lost:
                        await self._call("undo", [depth], None)
                raise
            await self._call("keep", [depth], None)
        finally:
            self._depth -= 1

    async def end_lease(self) -> None:
        """End it because others wait; returns when it is rolled back, or its worker had its time for that."""
        if self._lost:
            with anyio.move_on_after(_END_S):
                await self._ended.wait()
            self._gate.given_back(self)
            return
        self._lost = f"others waited, and its {self._lease_s:g} s were over"
        self._scope.cancel()
        await self._give_up()

    # -- for `Database.transaction` -------------------------------------------------------------------------------

    async def begin(self, session: Session, timeout_s: float) -> None:
        """Begin it on the worker of `session`, within `timeout_s`."""
        self._session = session
        self._is_open = True  # it may be, from here on: who leaves before that is known rolls it back as well
        await self._call("begin", [], timeout_s)
        self.lease_until = time.monotonic() + self._lease_s
        self._gate.stir()

    async def commit(self) -> None:
        """Make it durable.

        Raises:
            TransactionLost: It was ended before.
            WriteOutcomeUnknown: Nobody knows; look it up.
            StorageError: It could not be written; nothing of it was.
        """
        self.lease_until = float("inf")  # who commits is not pushed any more
        await self._call("commit", [], None)
        self._is_open = False

    async def leave(self) -> None:
        """Roll back what was not committed, and let others write."""
        if self._lost:  # somebody has it rolled back already, and has `_END_S` for that
            with anyio.CancelScope(shield=True):
                await self._ended.wait()
        elif self._is_open:
            self._lost = "it was left"
            await self._give_up()
        self._gate.given_back(self)

    async def _give_up(self) -> None:
        """Have the worker roll it back, and let others write."""
        self._is_open = False
        try:
            with (
                anyio.CancelScope(shield=True),
                suppress(WorkersError, StorageError),  # a dead worker has done so
            ):
                await self._session.call(
                    "transaction_roll_back", [self._path, self._number], timeout_s=_END_S
                )
        finally:
            self._ended.set()
            self._gate.given_back(self)

    async def _call(self, step: str, more: list[Any], timeout_s: float | None) -> Any:
        self._require()
        sent = [self._path, self._number, *more]
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            with anyio.CancelScope() as self._scope:
                return await self._session.call(f"transaction_{step}", sent, timeout_s=limit_s)
        except UNENCODABLE as error:
            raise refused_parameters(error) from error
        except WorkersError as error:
            told = failed_write(error)
            if step != "commit" and isinstance(told, (WriteOutcomeUnknown, StorageUnavailable)):
                self._lost = "its worker is gone, or did not answer in time"
                await self._give_up()
                self._require()
            raise told from error
        self._require()
        raise TransactionLost("the call was taken back")

    def _require(self) -> None:
        if self._lost:
            raise TransactionLost(f"the transaction was ended ({self._lost}); nothing of it was written")


@asynccontextmanager
async def opened(
    writers: Callable[[], Pool], gate: WriteGate, path: str, *, lease_s: float, timeout_s: float
) -> AsyncIterator[Transaction]:
    """Hold a transaction on the database at `path`; see `Database.transaction`.

    `writers` is asked once it is its turn: they may be others by then.
    """
    transaction = Transaction(gate, path, lease_s=lease_s, timeout_s=timeout_s)
    left_s = await gate.taken(transaction, timeout_s)
    try:
        async with writers().session(tenant=path) as session:
            try:
                await transaction.begin(session, left_s)
                yield transaction
                await transaction.commit()
            finally:
                await transaction.leave()
    finally:
        gate.given_back(transaction)

"""What a database offers to those who write it: statements, batches, functions and transactions, by its one writer."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, overload

from typing_extensions import override

from storage.change_log import ChangeLog
from storage.errors import DatabaseNotFound, NotAllowed, StorageBusy, StorageError
from storage.following import Following
from storage.function_names import name_of
from storage.parameters import bound, bound_in_batch
from storage.pool_errors import UNENCODABLE, failed_write, refused_parameters
from storage.queued_writes import Ack, Queued
from storage.sqlite.statements import builds_index, changes_rows_only
from storage.transactions import Transaction, opened
from storage.write_gate import WriteGate
from storage.written import Written, written
from workers import WorkersError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from storage.means import Means
    from workers import Lane, Pool

    Params = Sequence[Any] | Mapping[str, Any]


class Writing(Following):
    """What can be read from, followed and written; nothing is opened by making it."""

    def __init__(
        self,
        path: str,
        means: Means,
        *,
        name: str = "",
        generation: int = 0,
    ) -> None:
        super().__init__(max_result_bytes=means.settings.max_result_bytes)
        self.name = name
        self._path = path
        self._means = means
        self._readers = means.readers
        self._writers = means.writers
        means.switch.faces.add(self)
        self._logs = means.logs
        self._settings = means.settings
        self._generation = generation
        self._gate = WriteGate(max_waiting_count=means.settings.max_queue_size)
        self._change_log = ChangeLog(self)
        self.is_dropped = False
        """Its file is gone or about to be, and every call fails."""
        self.gives_way = False
        """While it is so because another file takes its place."""

    @property
    @override
    def change_log(self) -> ChangeLog:
        return self._change_log

    @overload
    async def execute(
        self, sql: str, params: Params = ..., *, timeout_s: float | None = ..., ack: Literal["durable"] = ...
    ) -> Written: ...
    @overload
    async def execute(
        self, sql: str, params: Params = ..., *, timeout_s: float | None = ..., ack: Literal["queued"]
    ) -> Queued: ...
    async def execute(
        self, sql: str, params: Params = (), *, timeout_s: float | None = None, ack: Ack = "durable"
    ) -> Written | Queued:
        """Run one statement that writes; it is on disk when this returns.

        Cancelled, it is either written whole or not at all. With `ack="queued"` this returns as soon as the write has
        its place in the queue: a crash loses it, and an error is counted and logged, and told to nobody.

        Raises:
            StorageError: ConstraintViolated, SqlError, NotAllowed, ParameterMismatch: mend the call.
                StorageSaturated, StorageBusy, StorageUnavailable, WriteTimedOut: nothing was written, call again.
                WriteOutcomeUnknown: look it up.
        """
        if ack == "queued":
            return await self._queue("execute", [sql], [sql, bound(params)], timeout_s)
        return written(*await self._write("execute", [sql, bound(params)], timeout_s, lane=_lane_of(sql)))

    @overload
    async def execute_batch(
        self,
        statements: Iterable[tuple[str, Params]],
        *,
        timeout_s: float | None = ...,
        ack: Literal["durable"] = ...,
    ) -> list[Written]: ...
    @overload
    async def execute_batch(
        self,
        statements: Iterable[tuple[str, Params]],
        *,
        timeout_s: float | None = ...,
        ack: Literal["queued"],
    ) -> Queued: ...
    async def execute_batch(
        self,
        statements: Iterable[tuple[str, Params]],
        *,
        timeout_s: float | None = None,
        ack: Ack = "durable",
    ) -> list[Written] | Queued:
        """Run statements in order, all or none of them; they are on disk when this returns, or `ack` as for `execute`.

        A parameter may be `Earlier(n)`: the rowid that statement `n` of them inserted, or a value that it returned.

        Raises:
            StorageError: As `execute`; nothing of the batch was kept.
        """
        asked = list(statements)
        pairs = [[sql, bound_in_batch(params, place)] for place, (sql, params) in enumerate(asked)]
        if ack == "queued":
            return await self._queue("execute_batch", [sql for sql, _ in asked], [pairs], timeout_s)
        results = await self._write("execute_batch", [pairs], timeout_s)
        return [written(*each) for each in results]

    async def write(self, function: Callable[..., Any], *args: Any, timeout_s: float | None = None) -> Any:
        """Have the writer run `function(transaction, *args)`; what it did is on disk when this returns its result.

        The function stands at the top of an importable module, gets a `WriteTransaction`, and shares its commit with
        the writes of others: all of it is kept, or nothing if it raises. It may run more than once before it counts,
        so it does nothing but what its transaction does. Arguments and result are what MessagePack carries.

        Raises:
            ValueError: A worker can't find the function by its name.
            PortableError: What the function raised, if it is of that kind; nothing was written.
            StorageError: As `execute`; as itself when the function raised another error, which is in the log.
        """
        sent = [name_of(function), list(args)]
        return await self._write("function", sent, timeout_s)

    @asynccontextmanager
    async def transaction(
        self, *, timeout_s: float | None = None, lease_s: float | None = None
    ) -> AsyncIterator[Transaction]:
        """Hold a transaction open while this is entered; it is committed on leaving, and rolled back by an exception.

        Others who write this database wait meanwhile, for `lease_s` (if it is not given, `transaction_lease_s` of the
        settings) at most: then the first of them ends it. `Database.write` and `execute_batch` do without all that. `timeout_s` is for the wait until it begins, and
        for each call; what was committed is on disk when this is left.

        Raises:
            TransactionLost: It was ended before it was committed; begin it again.
            StorageError: As `execute`; nothing was written, but for `WriteOutcomeUnknown`.
        """
        if self.is_dropped:
            raise self._gone()
        limit_s = self._settings.write_timeout_s if timeout_s is None else timeout_s
        try:
            async with opened(
                lambda: self._writers,
                self._gate,
                self._path,
                lease_s=self._settings.transaction_lease_s if lease_s is None else lease_s,
                timeout_s=limit_s,
            ) as transaction:
                yield transaction
        except WorkersError as error:
            raise failed_write(error) from error
        finally:
            self._change_log.stir()

    async def maintain(self, method: str, *more: object) -> None:
        """Have the writer do something with the file itself, after the writes that wait; also when it is dropped.

        Raises:
            StorageError: As `execute`.
        """
        await self._ask_writer(method, list(more), await self._passed(None))

    async def go_over(self, readers: Pool, writers: Pool) -> None:
        """Be read by `readers` from now on, and written by `writers` once what is being written has ended."""
        self._readers = readers
        async with self._gate.shut():
            self._writers = writers

    @override
    async def _write(
        self, method: str, sent: list[Any], timeout_s: float | None, *, lane: Lane = "short"
    ) -> Any:
        return await self._ask_writer(method, sent, await self._entered(timeout_s), lane=lane)

    async def _ask_writer(self, method: str, sent: list[Any], limit_s: float, *, lane: Lane = "short") -> Any:
        """Have the writer do `method`, the gate being passed."""
        try:
            return await self._writers.call(
                method,
                [self._path, *sent],
                key=self._path,
                timeout_s=limit_s,
                idempotent=False,
                lane=lane,
                tenant=self._path,
            )
        except WorkersError as error:
            raise failed_write(error) from error
        except UNENCODABLE as error:
            raise refused_parameters(error) from error
        finally:
            self._left()

    async def _queue(
        self, method: str, statements: Sequence[str], sent: list[Any], timeout_s: float | None
    ) -> Queued:
        if not all(map(changes_rows_only, statements)):
            raise NotAllowed("only what changes rows can be queued; anything else is waited for")
        limit_s = await self._entered(timeout_s)
        try:
            self._means.queued.add(
                self._writers, method, [self._path, *sent], timeout_s=limit_s, on_end=self._left
            )
        except UNENCODABLE as error:
            self._left()
            raise refused_parameters(error) from error
        except BaseException:
            self._left()
            raise
        return Queued()

    async def _entered(self, timeout_s: float | None) -> float:
        """Pass the gate for a write, and return what is left of its time; `_left` ends it."""
        if self.is_dropped:
            raise self._gone()
        return await self._passed(timeout_s)

    async def _passed(self, timeout_s: float | None) -> float:
        limit_s = self._settings.write_timeout_s if timeout_s is None else timeout_s
        if not self._gate.is_open:
            return await self._gate.passed(limit_s)
        self._gate.entered()
        return limit_s

    def _left(self) -> None:
        self._gate.left()
        self._logs.written(self._path)
        if not self.gives_way:  # those who follow are told once the other file is there
            self._change_log.stir()

    def _gone(self) -> StorageError:
        if self.gives_way:
            return StorageBusy(f"the database {self.name!r} is being restored; ask again")
        return DatabaseNotFound(f"the database {self.name!r} was dropped")


def _lane_of(sql: str) -> Lane:
    return "maintenance" if builds_index(sql) else "short"

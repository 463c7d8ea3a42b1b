"""What was given to the queue and is on its way to the disk: in the order of arrival, many in one transaction.

A batch is what arrived while the one before was written; nothing waits for company. Giving is a plain call, so it can't
be cancelled half-way and keeps the order of the program's lines; waiting for the disk is another matter.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from chat.errors import ClientIdConflict, QueueClosed, QueueFull
from chat.queue.clock import Wake
from chat.queue.records import Added
from chat.queue.storage_troubles import MAY_PASS, Patience
from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chat.queue.merging import Merged, Merger
    from chat.queue.outbox import Outbox
    from chat.queue.records import NewAction

BATCH_COUNT = 200
"""The most actions in one transaction; a caller's wait is at most two of them."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Ticket:
    """An action on its way to the disk."""

    __slots__ = ("_error", "_written", "new", "payload", "was_there")

    def __init__(self, new: NewAction, payload: Any, written: anyio.Event) -> None:
        self.new = new
        self.payload = payload
        """Kept only of those that may be coalesced."""
        self.was_there = False
        """An action of this client id was stored before, with the same payload."""
        self._written = written
        self._error: Exception | None = None

    async def durable(self) -> None:
        """Return when the action is on the disk; cancelled, it is stored none the less.

        Raises:
            QueueFull: Nothing was stored; try again when some actions are done.
            ClientIdConflict: The client id belongs to another action; nothing was stored.
            QueueClosed: The queue closed before it was stored.
            StorageError: The disk failed; nothing was stored.
        """
        await self._written.wait()
        if self._error is not None:
            raise self._error

    @property
    def is_written(self) -> bool:
        """It is on the disk, or was refused."""
        return self._written.is_set()

    @property
    def error(self) -> Exception | None:
        """Why it was not stored, once that is known."""
        return self._error

    def refuse(self, error: Exception) -> None:
        """Have `durable` raise `error`."""
        self._error = error


class _Batch:
    __slots__ = ("tickets", "written")

    def __init__(self) -> None:
        self.tickets: list[Ticket] = []
        self.written = anyio.Event()


class Inbox:
    """Takes actions by plain calls and writes them; `run` is its task."""

    def __init__(
        self,
        outbox: Outbox,
        merger: Merger,
        *,
        max_waiting_count: int,
        max_unwritten_count: int,
        on_written: Callable[[Sequence[Ticket]], None],
        on_merged: Callable[[Ticket, Merged], None],
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self._outbox = outbox
        self._merger = merger
        self._max_waiting_count = max_waiting_count
        self._max_unwritten_count = max_unwritten_count
        self._on_written = on_written
        self._on_merged = on_merged
        self._on_step = on_step
        self._batches: deque[_Batch] = deque()
        self._unwritten_count = 0
        self._wake = Wake()
        self._is_closing = False

    def put(self, new: NewAction, payload: Any) -> Ticket:
        """Take `new`, the action of `payload`, to be written after all that was put before.

        Raises:
            QueueFull: Too many are on their way to the disk; it was not taken.
            QueueClosed: The queue closes; it was not taken.
        """
        if self._is_closing:
            raise QueueClosed("the queue is closed")
        if self._unwritten_count >= self._max_unwritten_count:
            raise QueueFull(limit=self._max_unwritten_count, size=self._unwritten_count)
        if not self._batches or len(self._batches[-1].tickets) >= BATCH_COUNT:
            self._batches.append(_Batch())
            self._wake.set()
        batch = self._batches[-1]
        ticket = Ticket(new, None if new.subject is None else payload, batch.written)
        batch.tickets.append(ticket)
        self._unwritten_count += 1
        return ticket

    async def run(self) -> None:
        """Write what is put, until `close` was called and all is written."""
        while True:
            self._wake.clear()
            while self._batches:
                batch = self._batches.popleft()
                try:
                    if self._on_step is not None:
                        self._on_step("adding")
                    await self._write(batch.tickets)
                    if self._on_step is not None:
                        self._on_step("added")
                except BaseException:
                    self._give_up([batch, *self._batches])
                    raise
                self._settle(batch)
            if self._is_closing:
                return
            await self._wake.wait()

    def close(self) -> None:
        """Take nothing more; what was taken is still written."""
        self._is_closing = True
        self._wake.set()

    def _settle(self, batch: _Batch) -> None:
        self._unwritten_count -= len(batch.tickets)
        self._on_written(batch.tickets)
        batch.written.set()

    def _give_up(self, batches: Sequence[_Batch]) -> None:
        self._is_closing = True
        for batch in batches:
            for ticket in batch.tickets:
                ticket.refuse(QueueClosed("the queue closed before the action was stored"))
            batch.written.set()
        self._batches.clear()

    async def _write(self, tickets: Sequence[Ticket]) -> None:
        """Write `tickets` in order: those that can't be coalesced together, each of the others by itself."""
        plain: list[Ticket] = []
        for ticket in tickets:
            if ticket.new.subject is None:
                plain.append(ticket)
                continue
            if plain:
                await self._write_together(plain)
                plain = []
            await self._write_merged(ticket)
        if plain:
            await self._write_together(plain)

    async def _write_merged(self, ticket: Ticket) -> None:
        patience = Patience()
        while True:
            try:
                merged = await self._merger.add(ticket.new, ticket.payload, limit=self._max_waiting_count)
            except MAY_PASS as error:
                await patience.wait("chat.enqueue_delayed", error)
            except StorageError as error:
                _log.error("chat.enqueue_failed", error=str(error), client_id=ticket.new.client_id)
                ticket.refuse(error)
                return
            else:
                self._judge(ticket, merged.verdict)
                self._on_merged(ticket, merged)
                return

    async def _write_together(self, tickets: Sequence[Ticket]) -> None:
        """Write `tickets` together; when one of them can't be written at all, one by one."""
        patience = Patience()
        verdicts: list[Added] | None = None
        while verdicts is None:
            try:
                verdicts = await self._outbox.add(
                    [ticket.new for ticket in tickets], limit=self._max_waiting_count
                )
            except MAY_PASS as error:  # written again it is not stored twice: the client id is unique
                await patience.wait("chat.enqueue_delayed", error)
            except StorageError as error:
                if len(tickets) > 1:
                    for ticket in tickets:
                        await self._write_together([ticket])
                else:
                    _log.error("chat.enqueue_failed", error=str(error), client_id=tickets[0].new.client_id)
                    tickets[0].refuse(error)
                return
        for ticket, verdict in zip(tickets, verdicts, strict=True):
            self._judge(ticket, verdict)

    def _judge(self, ticket: Ticket, verdict: Added) -> None:
        if verdict is Added.DUPLICATE:
            ticket.was_there = True
        elif verdict is Added.CONFLICT:
            ticket.refuse(ClientIdConflict(ticket.new.client_id))
        elif verdict is Added.FULL:
            ticket.refuse(QueueFull(limit=self._max_waiting_count, size=self._max_waiting_count))

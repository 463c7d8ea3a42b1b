"""What was given to the queue and is on its way to the disk: in the order of arrival, many in one transaction.

A batch is what arrived while the one before was written; nothing waits for company. Giving is a plain call, so it can't
be cancelled half-way and keeps the order of the program's lines; waiting for the disk is another matter.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from chat.errors import ChatError, ClientIdConflict, QueueClosed, QueueFull
from chat.queue.clock import Wake
from chat.queue.records import Added
from chat.queue.sealing import SealError
from chat.queue.storage_troubles import MAY_PASS, Patience
from chat.queue.tables import BATCH_BYTES
from chat.queue.tickets import Batch, Ticket
from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chat.queue.merging import Merged, Merger
    from chat.queue.outbox import Outbox
    from chat.queue.records import NewAction

BATCH_COUNT = 200
"""The most actions in one transaction; a caller's wait is at most two of them."""
MAX_UNWRITTEN_BYTES = 64 * 1024 * 1024
"""Of payloads on their way to the disk; the next one is refused with `QueueFull`."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


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
        make_room: Callable[[], Awaitable[None]],
        patience_s: float,
        settle_s: float,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self._outbox = outbox
        self._merger = merger
        self._max_waiting_count = max_waiting_count
        self._max_unwritten_count = max_unwritten_count
        self._on_written = on_written
        self._on_merged = on_merged
        self._make_room = make_room
        self._patience_s = patience_s
        self._settle_s = settle_s
        self._on_step = on_step
        self._batches: deque[Batch] = deque()
        self._current: Batch | None = None
        self._patience = Patience(patience_s)
        self._unwritten_count = 0
        self._unwritten_bytes = 0
        self._wake = Wake()
        self._is_closing = False

    def put(self, new: NewAction, payload: Any) -> Ticket:
        """Take `new`, the action of `payload`, to be written after all that was put before.

        Raises:
            QueueFull: Too many, or too large ones, are on their way to the disk; it was not taken.
            QueueClosed: The queue closes; it was not taken.
        """
        if self._is_closing:
            raise QueueClosed("the queue is closed")
        if self._unwritten_count >= self._max_unwritten_count:
            raise QueueFull(limit=self._max_unwritten_count, size=self._unwritten_count)
        if self._unwritten_bytes >= MAX_UNWRITTEN_BYTES:
            raise QueueFull(limit=self._unwritten_count, size=self._unwritten_count)
        batch = self._batches[-1] if self._batches else None
        if batch is None or len(batch.tickets) >= BATCH_COUNT or batch.size_bytes >= BATCH_BYTES:
            batch = Batch()
            self._batches.append(batch)
            self._wake.set()
        batch.size_bytes += len(new.payload)
        self._unwritten_bytes += len(new.payload)
        ticket = Ticket(new, None if new.subject is None else payload, batch.written)
        batch.tickets.append(ticket)
        self._unwritten_count += 1
        return ticket

    async def run(self) -> None:
        """Write what is put, until `close` was called and all is written; cancelled, write what was put by then."""
        try:
            while True:
                self._wake.clear()
                await self._write_batches()
                if self._is_closing:
                    return
                await self._wake.wait()
        except anyio.get_cancelled_exc_class():
            self._is_closing = True
            with anyio.move_on_after(self._settle_s, shield=True):
                await self._write_batches()
            raise
        finally:
            self._give_up()

    async def _write_batches(self) -> None:
        while self._batches or self._current is not None:
            batch = self._current = self._current or self._batches.popleft()
            if self._on_step is not None:
                self._on_step("adding")
            await self._write([ticket for ticket in batch.tickets if not ticket.is_judged])
            if self._on_step is not None:
                self._on_step("added")
            self._current = None
            self._settle(batch)

    def close(self) -> None:
        """Take nothing more; what was taken is still written."""
        self._is_closing = True
        self._wake.set()

    def _settle(self, batch: Batch) -> None:
        self._unwritten_count -= len(batch.tickets)
        self._unwritten_bytes -= batch.size_bytes
        self._on_written(batch.tickets)
        batch.written.set()

    def _give_up(self) -> None:
        self._is_closing = True
        for batch in [self._current, *self._batches]:
            for ticket in batch.tickets if batch is not None else ():
                if not ticket.is_judged:
                    ticket.refuse(
                        QueueClosed("the queue closed before anybody knew that the action was stored")
                    )
            if batch is not None:
                batch.written.set()
        self._batches.clear()
        self._current = None

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
        merged = await self._merged(ticket)
        if merged is not None and merged.verdict is Added.FULL:
            await self._make_room()
            merged = await self._merged(ticket)
        if merged is not None:
            await self._judge({ticket: merged.verdict})
            self._on_merged(ticket, merged)

    async def _write_together(self, tickets: Sequence[Ticket]) -> None:
        verdicts = await self._added(tickets)
        full = [ticket for ticket, verdict in verdicts.items() if verdict is Added.FULL]
        if full:
            await self._make_room()
            verdicts |= await self._added(full)
        await self._judge({ticket: verdict for ticket, verdict in verdicts.items() if not ticket.is_judged})

    async def _merged(self, ticket: Ticket) -> Merged | None:
        """Return what became of a ticket that may be coalesced, None if it was refused."""
        while True:
            try:
                merged = await self._merger.add(ticket.new, ticket.payload, limit=self._max_waiting_count)
            except (StorageError, ChatError, SealError) as error:
                if not await self._is_worth_waiting(error):
                    self._refuse(ticket, error)
                    return None
            else:
                self._patience = Patience(self._patience_s)
                return merged

    async def _added(self, tickets: Sequence[Ticket]) -> dict[Ticket, Added]:
        """Return what became of `tickets`, written together; when one can't be written at all, one by one.

        Those that were refused are not among them.
        """
        while True:
            try:
                verdicts = await self._outbox.add(
                    [each.new for each in tickets], limit=self._max_waiting_count
                )
            except StorageError as error:  # written again it is not stored twice: the client id is unique
                if await self._is_worth_waiting(error):
                    continue
                if isinstance(error, MAY_PASS) or len(tickets) == 1:
                    for ticket in tickets:
                        self._refuse(ticket, error)
                    return {}
                alone: dict[Ticket, Added] = {}
                for ticket in tickets:
                    alone |= await self._added([ticket])
                return alone
            self._patience = Patience(self._patience_s)
            return dict(zip(tickets, verdicts, strict=True))

    async def _is_worth_waiting(self, error: Exception) -> bool:
        """Wait a while if `error` may pass, and return whether to try again."""
        if not isinstance(error, MAY_PASS) or self._patience.is_over:
            return False
        await self._patience.wait("chat.enqueue_delayed", error)
        return True

    def _refuse(self, ticket: Ticket, error: Exception) -> None:
        _log.error("chat.enqueue_failed", error=str(error), client_id=ticket.new.client_id)
        ticket.refuse(error)

    async def _judge(self, verdicts: dict[Ticket, Added]) -> None:
        size = None
        for ticket, verdict in verdicts.items():
            if verdict is Added.CONFLICT:
                ticket.refuse(ClientIdConflict(ticket.new.client_id))
            elif verdict is Added.FULL:
                size = await self._size() if size is None else size
                ticket.refuse(QueueFull(limit=self._max_waiting_count, size=size))
            else:
                ticket.was_there = verdict is Added.DUPLICATE
                ticket.is_judged = True

    async def _size(self) -> int:
        try:
            return await self._outbox.open_count()
        except StorageError:  # it was full a moment ago
            return self._max_waiting_count

"""The action queue as a program sees it."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec
import structlog

from chat.errors import QueueClosed
from chat.queue.actions import ActionType, ActionTypes
from chat.queue.client_ids import ClientIds
from chat.queue.clock import SystemQueueClock, Wake
from chat.queue.handlers import Delivery, Handlers, Route, Transport
from chat.queue.inbox import Inbox, Ticket
from chat.queue.opening import opened
from chat.queue.packing import packed
from chat.queue.receipts import Ends, Receipt
from chat.queue.runner import Runner
from chat.queue.settings import QueueSettings
from chat.queue.sqlite_outbox import SqliteOutbox
from chat.queue.statement_texts import load

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from chat.queue.clock import QueueClock
    from chat.queue.lane_run import Report
    from chat.queue.outbox import Outbox

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class ActionQueue:
    """A durable queue of actions; made by `open_queue`, usable until that is left."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        settings: QueueSettings,
        types: ActionTypes,
        clock: QueueClock,
        chance: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._settings = settings
        self._types = types
        self._clock = clock
        self._handlers = Handlers(types)
        self._ids = ClientIds()
        self._ends = Ends()
        self._failure: Exception | None = None
        self._inbox = Inbox(
            outbox,
            max_waiting_count=settings.max_waiting_count,
            max_unwritten_count=settings.max_unwritten_count,
            on_written=self._on_written,
        )
        self._runner = Runner(
            outbox,
            types=types,
            handlers=self._handlers,
            settings=settings,
            clock=clock,
            wake=Wake(),
            owner=self._ids.at(clock.wall_ms()),
            chance=chance,
            on_reports=self._on_reports,
        )

    def register(self, action_type: ActionType) -> None:
        """Know another type of action; one of the same name is replaced.

        Raises:
            ValueError: Its payload is another type's.
        """
        self._types.add(action_type)

    def handle(
        self,
        name: str,
        deliver: Callable[[Delivery], Awaitable[Any]],
        *,
        ask: Callable[[Delivery], Awaitable[Any]] | None = None,
    ) -> None:
        """Deliver actions of the type `name` by `deliver`; `ask` settles those whose answer was lost.

        Raises:
            UnknownActionType: There is no such type.
        """
        self._handlers.add(name, Route(deliver, ask))
        self._runner.look()

    def handle_all(self, transport: Transport) -> None:
        """Deliver actions of all types known by now by `transport`."""
        for kind in self._types:
            self._handlers.add(kind.name, Route(transport.deliver, transport.ask))
        self._runner.look()

    def put(
        self,
        payload: msgspec.Struct,
        *,
        account: str = "",
        client_id: str | None = None,
        delay_s: float = 0.0,
        max_attempts: int | None = None,
    ) -> Receipt:
        """Take an action by a plain call, in the order of calls; the receipt tells when it is stored, and sent.

        Raises:
            UnknownActionType, InvalidAction: Mend the call.
            QueueFull, QueueClosed: It was not taken.
        """
        new = packed(
            payload,
            self._types,
            self._clock,
            self._ids,
            account=account,
            client_id=client_id,
            delay_s=delay_s,
            max_attempts=max_attempts,
        )
        return Receipt(new.client_id, self._inbox.put(new), self._ends, self._look_up)

    async def enqueue(
        self,
        payload: msgspec.Struct,
        *,
        account: str = "",
        client_id: str | None = None,
        delay_s: float = 0.0,
        max_attempts: int | None = None,
    ) -> Receipt:
        """Store an action; it is on the disk when this returns, and will be delivered once, in order, or failed.

        The same client id again is the same action: it is stored once. Cancelled, it may be stored all the same.

        Raises:
            UnknownActionType, InvalidAction, ClientIdConflict: Mend the call.
            QueueFull: Nothing was stored; try again when some actions are done.
            QueueClosed, StorageError: Nothing was stored.
        """
        receipt = self.put(
            payload, account=account, client_id=client_id, delay_s=delay_s, max_attempts=max_attempts
        )
        await receipt.durable()
        return receipt

    def _on_written(self, _tickets: Sequence[Ticket]) -> None:
        self._runner.look()

    def _on_reports(self, reports: Sequence[Report]) -> None:
        for report in reports:
            state = report.verdict.entry.state
            if state.is_final:
                self._ends.came(report.action.client_id, state, report.result, report.verdict.entry.failure)

    async def _look_up(self, client_ids: Sequence[str]) -> None:
        """Tell those who wait for `client_ids` how they ended, where they did."""
        for found in await self._outbox.ends(client_ids):
            result = None if found.result is None else msgspec.json.decode(found.result)
            self._ends.came(found.client_id, found.state, result, found.failure)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        failure: BaseException | None = None
        async with anyio.create_task_group() as group:
            for task in (self._inbox.run, self._runner.run):
                group.start_soon(self._watched, task, group.cancel_scope)
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
                failure = error
            self._close()
        if self._failure is not None:
            raise self._failure from failure
        if failure is not None:
            raise failure

    async def _watched(self, task: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        try:
            await task()
        except Exception as error:  # noqa: BLE001 - raised again by whoever opened the queue
            _log.exception("chat.queue_broke")
            self._failure = self._failure or error
            self._close()
            scope.cancel()

    def _close(self) -> None:
        self._inbox.close()
        self._runner.stop()
        self._ends.broke(self._ends.open_ids(), QueueClosed("the queue closed first"))


@asynccontextmanager
async def open_queue(
    path: str | os.PathLike[str],
    settings: QueueSettings | None = None,
    *,
    types: ActionTypes | None = None,
    clock: QueueClock | None = None,
    chance: Callable[[], float] = random.random,
) -> AsyncIterator[ActionQueue]:
    """Open the queue in the file `path`, making it if it is not there; other processes may have it open too.

    On leaving, calls under way get a while to end (`stop_grace_s`); what is not done by then stays in the file.

    Raises:
        StorageError: The file can't be opened.
    """
    settings = settings or QueueSettings()
    statements = await anyio.to_thread.run_sync(load)
    if clock is None:
        clock = await anyio.to_thread.run_sync(SystemQueueClock.of_this_machine)
    async with opened(Path(path), settings) as database:
        queue = ActionQueue(
            SqliteOutbox(database, statements),
            settings=settings,
            types=types or ActionTypes(),
            clock=clock,
            chance=chance,
        )
        async with queue._running():  # noqa: SLF001 - the same module
            yield queue

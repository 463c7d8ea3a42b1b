"""Messages that wait in this process: the same runner, rules and events as in a file, and gone with the process."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from anyio.lowlevel import checkpoint

from chat.errors import ClientIdConflict, QueueClosed, QueueFull
from chat.messages.events import room_of
from chat.messages.face import FollowedMessages, MessageReceipt, MessageStatus
from chat.messages.memory_lanes import MemoryLanes
from chat.messages.memory_log import MemoryLog
from chat.messages.memory_outbox import MemoryOutbox
from chat.messages.recent import RecentMessages
from chat.own_tasks import own_tasks
from chat.queue.actions import ActionTypes
from chat.queue.clock import Wake
from chat.queue.control import Cancelled
from chat.queue.handlers import Handlers, Route, Transport
from chat.queue.packing import Packing
from chat.queue.payloads import DeleteMessage, SendMessage
from chat.queue.receipts import Ends
from chat.queue.runner import Runner
from chat.queue.settings import QueueSettings
from chat.queue.states import WAITING, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from chat.queue.clock import QueueClock
    from chat.queue.reports import Report

_OWNER = "memory"


class MemoryMessages:
    """See `ChatMessageQueue`; what is not sent when this is left is lost."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: QueueClock,
        settings: QueueSettings | None = None,
        account: str = "",
        types: ActionTypes | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings or QueueSettings()
        self._account = account
        self._log = MemoryLog(clock)
        self._lanes = MemoryLanes(self._log, clock)
        self._packing = Packing(types or ActionTypes(), clock)
        self._recent = RecentMessages()
        self._ends = Ends()
        self._is_closing = False
        handlers = Handlers(self._packing.types)
        for kind in self._packing.types:
            handlers.add(kind.name, Route(transport.deliver, transport.ask))
        self._runner = Runner(
            MemoryOutbox(self._lanes),
            packing=self._packing,
            handlers=handlers,
            settings=self._settings,
            clock=clock,
            wake=Wake(),
            owner=_OWNER,
            chance=chance,
            on_turn=self._on_turn,
            on_contact=lambda _: None,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send, until this is left; then what is under way gets a while to end."""
        async with own_tasks(self._close) as group:
            group.start_soon(self._runner.run)
            yield

    def send(
        self, room: str, content: str, reply_to: str | None = None, draft_id: str | None = None
    ) -> MessageReceipt:
        """See `ChatMessageQueue`."""
        message = SendMessage(room_id=room, content=content, reply_to_id=reply_to)
        return self._taken(message, room, draft_id)

    async def retry(self, client_id: str) -> None:
        """See `ChatMessageQueue`."""
        await checkpoint()
        self._lanes.retry(client_id)
        self._runner.look()

    async def cancel(self, client_id: str, *, redact: bool = True) -> Cancelled:
        """See `ChatMessageQueue`."""
        action = self._lanes.find(client_id)
        was_sent = action.state is State.DONE
        while True:
            news = self._log.news()
            answer = self._lanes.cancel(client_id)
            if answer is not None:
                break
            self._runner.heed()
            await news.wait()
        if answer:
            self._ends.came(client_id, State.CANCELLED)
            self._runner.look()
            return Cancelled.CANCELLED
        if not redact or was_sent:
            return Cancelled.TOO_LATE
        room = room_of(action.new.lane_key)
        self._taken(DeleteMessage(room_id=room, message_id=client_id), room, None)
        return Cancelled.WILL_REDACT

    async def resume(self) -> None:
        """See `ChatMessageQueue`."""
        await checkpoint()
        self._lanes.paused_accounts.discard(self._account)
        self._runner.look()

    async def status(self) -> MessageStatus:
        """See `ChatMessageQueue`."""
        await checkpoint()
        return MessageStatus(
            pending=self._lanes.count(WAITING), sending=self._lanes.count({State.CALLING, State.UNCERTAIN})
        )

    async def newest_event(self) -> int:
        """See `ChatMessageQueue`."""
        await checkpoint()
        return self._log.newest

    def follow_events(self, after: int = 0) -> FollowedMessages:
        """See `ChatMessageQueue`."""
        return FollowedMessages(self._log.follow(after), self._account, self._recent.find)

    def _taken(
        self, payload: SendMessage | DeleteMessage, room: str, client_id: str | None
    ) -> MessageReceipt:
        if self._is_closing:
            raise QueueClosed("the queue is closed")
        new = self._packing.packed(payload, account=self._account, client_id=client_id)
        digest = self._lanes.digest(new.client_id)
        limit = self._settings.max_waiting_count
        if digest is None and self._lanes.unfinished_count >= limit:
            raise QueueFull(limit=limit, size=self._lanes.unfinished_count)
        error = None
        if digest is None:
            if isinstance(payload, SendMessage):
                self._recent.add(new.client_id, payload)
            self._lanes.take(new)
            self._runner.look()
        elif digest != new.digest:
            error = ClientIdConflict(new.client_id)
        promised = _Promised(new.client_id, self._ends, self._look_up, error)
        return MessageReceipt(new.client_id, room, promised)

    def _look_up(self, client_id: str) -> None:
        """Tell those who wait for a message how it ended, if it did."""
        found = self._lanes.find(client_id)
        if found.state.is_final:
            result = None if found.result is None else msgspec.json.decode(found.result)
            self._ends.came(client_id, found.state, result=result, failure=found.failure)

    def _on_turn(self, reports: Sequence[Report]) -> None:
        for report in reports:
            entry, client_id = report.verdict.entry, report.action.client_id
            if entry.state.is_final:
                self._ends.came(client_id, entry.state, result=report.result, failure=entry.failure)

    def _close(self) -> None:
        self._is_closing = True
        self._runner.stop()
        self._ends.broke(self._ends.open_ids(), QueueClosed("the queue closed first"))


class _Promised:
    def __init__(
        self, client_id: str, ends: Ends, look_up: Callable[[str], None], error: Exception | None
    ) -> None:
        self._client_id = client_id
        self._ends = ends
        self._look_up = look_up
        self._error = error

    async def durable(self) -> None:
        await checkpoint()
        if self._error is not None:
            raise self._error

    async def sent(self) -> Any:
        await self.durable()
        with self._ends.waiting_for(self._client_id) as end:
            self._look_up(self._client_id)
            return await end.result()

"""Messages that are sent at once, one try each, without a queue: what `USE_CHAT_QUEUE=0` goes back to.

Nothing of the queue runs here: no store, no claims, no retries. A message begins when it is given; only those of one
room go one after the other, since else they would not arrive in order. To wait for a message to be durable is to wait
for the server, so a caller that waits learns of a failure at once, as one that calls a server itself does.
"""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from chat.errors import (
    ActionNotFound,
    AnswerLost,
    AuthExpired,
    ClientIdConflict,
    DeliveryError,
    Failure,
    NotPossible,
    QueueClosed,
    QueueFull,
)
from chat.messages.face import FollowedMessages, MessageReceipt, MessageStatus
from chat.messages.memory_log import MemoryLog
from chat.messages.recent import RecentMessages
from chat.own_tasks import own_tasks
from chat.queue.actions import ActionTypes
from chat.queue.control import Cancelled
from chat.queue.handlers import Delivery, Transport
from chat.queue.lane_run import HANDLER_FAILED, TIMED_OUT
from chat.queue.packing import Packing
from chat.queue.payloads import DeleteMessage, SendMessage
from chat.queue.receipts import End
from chat.queue.settings import QueueSettings
from chat.queue.states import State
from chat.queue.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from chat.queue.clock import QueueClock
    from chat.queue.records import NewAction

MAX_REMEMBERED_COUNT = 1_000
"""So many of those that ended can be tried again, or are known when they come again."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


@dataclass(slots=True, eq=False)
class _Sending:
    """A message, or the deletion of one."""

    new: NewAction
    room: str
    payload: SendMessage | DeleteMessage
    end: End
    state: State = State.QUEUED
    attempts: int = 0
    may_be_done: bool = False
    """The server may have it, though it failed."""


class DirectMessages:
    """See `ChatMessageQueue`; what is not sent when this is left is lost."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: QueueClock,
        settings: QueueSettings | None = None,
        account: str = "",
    ) -> None:
        self._transport = transport
        self._settings = settings or QueueSettings()
        self._account = account
        self._clock = clock
        self._log = MemoryLog(clock)
        self._packing = Packing(ActionTypes(), clock)
        self._recent = RecentMessages()
        self._by_id: dict[str, _Sending] = {}
        self._ended: deque[_Sending] = deque()
        self._rooms: dict[str, deque[_Sending]] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._idle = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send, until this is left; then what is under way gets a while to end."""
        async with own_tasks(self._close) as group:
            self._group = group
            yield

    def send(
        self, room: str, content: str, reply_to: str | None = None, draft_id: str | None = None
    ) -> MessageReceipt:
        """See `ChatMessageQueue`."""
        message = SendMessage(room_id=room, content=content, reply_to_id=reply_to)
        new = self._packing.packed(message, account=self._account, client_id=draft_id)
        client_id = new.client_id
        known = self._by_id.get(client_id)
        if known is not None:
            error = None if known.new.digest == new.digest else ClientIdConflict(client_id)
            return MessageReceipt(client_id, room, _Promised(known, error))
        sending = self._begun(new, room, message)
        self._recent.add(client_id, message)
        return MessageReceipt(client_id, room, _Promised(sending, None))

    async def retry(self, client_id: str) -> None:
        """See `ChatMessageQueue`; it goes to the end of its room."""
        await checkpoint()
        sending = self._found(client_id)
        if sending.state is State.QUEUED:
            return
        if sending.state is not State.FAILED:
            raise NotPossible(f"{client_id} is {sending.state}", state=sending.state)
        self._ended.remove(sending)
        sending.end = End(client_id)
        self._start(sending, State.FAILED)

    async def cancel(self, client_id: str, *, redact: bool = True) -> Cancelled:
        """See `ChatMessageQueue`."""
        await checkpoint()
        sending = self._found(client_id)
        if sending.state is State.QUEUED:
            self._rooms[sending.room].remove(sending)
            self._move(sending, State.CANCELLED)
            self._remember(sending)
        elif sending.state is State.FAILED and not sending.may_be_done:
            self._move(sending, State.CANCELLED)
        if sending.state is State.CANCELLED:
            return Cancelled.CANCELLED
        if not redact or sending.state is State.DONE:
            return Cancelled.TOO_LATE
        deletion = DeleteMessage(room_id=sending.room, message_id=client_id)
        self._begun(self._packing.packed(deletion, account=self._account), sending.room, deletion)
        return Cancelled.WILL_REDACT

    async def resume(self) -> None:
        """See `ChatMessageQueue`; here nothing waits for a login."""
        await checkpoint()

    async def status(self) -> MessageStatus:
        """See `ChatMessageQueue`."""
        await checkpoint()
        messages = [each for each in self._by_id.values() if isinstance(each.payload, SendMessage)]
        return MessageStatus(
            pending=sum(each.state is State.QUEUED for each in messages),
            sending=sum(each.state is State.CALLING for each in messages),
        )

    async def newest_event(self) -> int:
        """See `ChatMessageQueue`."""
        await checkpoint()
        return self._log.newest

    def follow_events(self, after: int = 0) -> FollowedMessages:
        """See `ChatMessageQueue`."""
        return FollowedMessages(self._log.follow(after), self._account, self._recent.find)

    # -- sending --------------------------------------------------------------------------------------------------

    def _begun(self, new: NewAction, room: str, payload: SendMessage | DeleteMessage) -> _Sending:
        limit, size = self._settings.max_waiting_count, len(self._by_id) - len(self._ended)
        if size >= limit:
            raise QueueFull(limit=limit, size=size)
        sending = _Sending(replace(new, payload=b""), room, payload, End(new.client_id))
        self._start(sending, None)
        return sending

    def _start(self, sending: _Sending, was: State | None) -> None:
        if self._group is None:
            raise QueueClosed("the queue is closed")
        self._by_id[sending.new.client_id] = sending
        sending.state = State.QUEUED
        self._tell(sending, was)
        room = self._rooms.get(sending.room)
        if room is None:
            self._rooms[sending.room] = deque([sending])
            self._group.start_soon(self._work_off, sending.room)
        else:
            room.append(sending)

    async def _work_off(self, room: str) -> None:
        """Send what waits in a room, one after the other."""
        waiting = self._rooms[room]
        try:
            while waiting:
                await self._sent(waiting.popleft())
        finally:
            del self._rooms[room]
            if not self._rooms:
                self._idle.set()

    async def _sent(self, sending: _Sending) -> None:
        sending.attempts += 1
        self._move(sending, State.CALLING)
        failure: Failure | None = None
        answer: Any = None
        try:
            with anyio.fail_after(self._settings.call_timeout_s):
                answer = await self._transport.deliver(self._delivery(sending))
        except TimeoutError:
            failure = Failure.of(AnswerLost("the server took too long", code=TIMED_OUT))
        except DeliveryError as error:
            failure = Failure.of(error)
            if isinstance(error, AuthExpired):
                self._log.add("session.expired", account=self._account)
        except anyio.get_cancelled_exc_class() as error:
            await checkpoint()  # which raises again where it is this task that was cancelled
            failure = self._unforeseen(sending, error)
        except Exception as error:  # noqa: BLE001 - a transport may raise anything, and the next message goes on
            failure = self._unforeseen(sending, error)
        sending.may_be_done = failure is not None and (
            failure.kind == "answer_lost" or failure.code == HANDLER_FAILED
        )
        self._move(sending, State.FAILED if failure else State.DONE, failure, answer)
        self._remember(sending)

    def _unforeseen(self, sending: _Sending, error: BaseException) -> Failure:
        _log.error("chat.handler_failed", client_id=sending.new.client_id, trace=trace_of(error))
        return Failure("transient", HANDLER_FAILED, type(error).__name__)

    def _remember(self, sending: _Sending) -> None:
        """Keep one that ended for a while, and forget the oldest ones."""
        self._ended.append(sending)
        while len(self._ended) > MAX_REMEMBERED_COUNT:
            del self._by_id[self._ended.popleft().new.client_id]

    def _delivery(self, sending: _Sending) -> Delivery:
        new = sending.new
        return Delivery(
            new.client_id, new.type, sending.payload, self._account, sending.attempts, new.created_at_ms
        )

    def _move(
        self, sending: _Sending, state: State, failure: Failure | None = None, answer: Any = None
    ) -> None:
        was, sending.state = sending.state, state
        self._tell(sending, was, failure, answer)
        if state.is_final:
            sending.end.came(state, result=answer, failure=failure, carried_by=None)

    def _tell(
        self, sending: _Sending, was: State | None, failure: Failure | None = None, answer: Any = None
    ) -> None:
        new = sending.new
        self._log.add(
            sending.state,
            was=was,
            client_id=new.client_id,
            type=new.type,
            lane=new.lane_key,
            account=new.account,
            attempts=sending.attempts,
            failure=failure,
            result=answer,
        )

    def _found(self, client_id: str) -> _Sending:
        found = self._by_id.get(client_id)
        if found is None:
            raise ActionNotFound(f"there is no message {client_id}")
        return found

    def _close(self) -> None:
        group, self._group = self._group, None
        for sending in self._by_id.values():
            if not sending.state.is_final:
                sending.end.broke(QueueClosed("the queue closed first"))
        if group is not None and self._rooms:
            for waiting in self._rooms.values():
                waiting.clear()
            self._idle = anyio.Event()
            group.start_soon(self._end, group)

    async def _end(self, group: anyio.abc.TaskGroup) -> None:
        with anyio.move_on_after(self._settings.stop_grace_s):
            await self._idle.wait()
        group.cancel_scope.cancel()


class _Promised:
    def __init__(self, sending: _Sending, error: ClientIdConflict | None) -> None:
        self._sending = sending
        self._error = error

    async def durable(self) -> None:
        await self.sent()

    async def sent(self) -> Any:
        await checkpoint()
        if self._error is not None:
            raise self._error
        return await self._sending.end.result()

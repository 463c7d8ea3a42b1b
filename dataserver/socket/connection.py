"""One connection: its reader takes commands in, its writer lets frames out, and neither waits for another connection.

The reader stops reading while too many commands are under way (`Credit`); the writer stops while the client does not
read, and what then waits is bounded (`Outbox`). Commands that had begun when the client left are finished: they came.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
import structlog

from chat import NotFound, parsed_id
from dataserver.errors import answering, error_body
from dataserver.refusals import InvalidBody
from dataserver.socket import ops
from dataserver.socket.changes import is_alone, perform
from dataserver.socket.credit import Credit
from dataserver.socket.endings import MALFORMED
from dataserver.socket.frames import Frame, answer_frame
from dataserver.socket.identity import Identity
from dataserver.socket.links import closed
from dataserver.socket.subscriber import Subscriber
from dataserver.socket.subscriptions import Subscription
from dataserver.wire import json_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from chat import Chat, Session
    from dataserver.answers import Send
    from dataserver.departures import Receive
    from dataserver.socket.hub import Hub
    from dataserver.socket.identity import Authenticate
    from dataserver.socket.links import Link

MAX_MALFORMED_COUNT: Final = 20
MAX_TURN_COUNT: Final = 16
"""Commands that are taken before others have their turn: a server hands over thousands that came together at once."""
LAST_COMMANDS_S: Final = 5.0
"""How long commands may take whose client has left."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Connection:
    """One client, from its acceptance to its end."""

    __slots__ = (
        "_chat",
        "_credit",
        "_hub",
        "_identity",
        "_link",
        "_malformed_count",
        "_receive",
        "_send",
        "_subscriber",
        "_tasks",
        "_turn",
    )

    def __init__(
        self, chat: Chat, hub: Hub, authenticate: Authenticate, *, receive: Receive, send: Send, link: Link
    ) -> None:
        self._chat = chat
        self._hub = hub
        self._receive = receive
        self._send = send
        self._link = link
        self._subscriber = Subscriber(None, hub.limits.max_waiting_bytes)
        if link.taker is not None:
            self._subscriber.leave_by(link.taker, hub.flushes)
        self._identity = Identity(hub, self._subscriber, authenticate)
        self._credit = Credit(hub.limits.max_in_flight)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._turn: asyncio.Future[None] | None = None
        """What the reader waits for while it may begin no command."""
        self._malformed_count = 0

    def arrive(self) -> None:
        """Be one of the server's connections.

        Raises:
            ServerDraining, TooManyConnections: As `Hub.arrive`.
        """
        self._hub.arrive(self._subscriber)

    def gone(self) -> None:
        """Be none of the server's connections; once more does nothing."""
        self._hub.leave(self._subscriber)

    async def run(self, session: Session | None, token: bytes) -> None:
        """Serve the client until it leaves or is ended; without a session its first command says who it is."""
        loop = asyncio.get_running_loop()
        reading = anyio.CancelScope()
        writer = loop.create_task(self._write(reading))
        try:
            self._identity.begin(session, token)
            with reading:
                await self._read()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=LAST_COMMANDS_S)
        finally:
            self.gone()
            self._identity.close()
            for task in (writer, *self._tasks):
                task.cancel()
        await asyncio.wait((writer,))
        if not writer.cancelled():
            writer.result()

    async def _write(self, reading: anyio.CancelScope) -> None:
        subscriber = self._subscriber
        try:
            while frames := await subscriber.frames():
                self._hub.written_bytes += sum(frame.size for frame in frames)
                await self._link.write(frames)
            if subscriber.ending is not None:
                await closed(self._send, subscriber.ending)
        except OSError:
            _log.debug("socket.lost")  # what it was not sent it asks for when it comes back
        finally:
            reading.cancel()

    async def _read(self) -> None:
        for number in itertools.count(1):
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return
            await self._take(message.get("text"))
            if self._subscriber.ending is not None:
                break
            if number % MAX_TURN_COUNT == 0:
                await anyio.lowlevel.checkpoint()
        await anyio.sleep_forever()  # until the writer has said why

    async def _take(self, text: str | None) -> None:
        """Begin what a frame asks for; this waits while too much is under way, so that nothing more is read."""
        number = None
        try:
            command = ops.decoded(text)
            number = command.id
            if isinstance(command, ops.Hello):
                self._answer(command.id, self._identity.hello(command))
            else:
                await self._begin(self._identity.session, command)
        except InvalidBody as error:
            self._refuse(ops.number_of(text) if number is None else number, error)
            self._malformed_count += 1
            if self._malformed_count >= MAX_MALFORMED_COUNT:
                self._subscriber.end(MALFORMED)
        except Exception as error:  # noqa: BLE001 - the border: whatever it is ends here, and the client is told
            self._refuse(number, error)

    async def _begin(self, session: Session, command: ops.Known) -> None:
        subscriber = self._subscriber
        match command:
            case ops.Ping():
                self._answer(command.id, {})
            case ops.Subscribe():
                await self._until(lambda: len(self._tasks) < self._hub.limits.max_in_flight)
                subscription = Subscription(self._chat, self._hub, subscriber, session.user_id)
                self._answer(command.id, await subscription.begin(command.streams))
                self._start(subscription.catch_up())
            case ops.Unsubscribe():
                for stream_id in [parsed_id(text, "stream") for text in command.streams]:
                    self._hub.unfollow(subscriber, stream_id)
                self._answer(command.id, {})
            case ops.Typing():
                follow = subscriber.follows.get(parsed_id(command.room, "room"))
                if follow is None or follow.space_id in {None, 0, follow.stream_id}:
                    raise NotFound(f"you follow no room {command.room}", what="room")
                self._hub.type_in(follow.stream_id, session.user_id)
                self._answer(command.id, {})
            case ops.Presence():
                self._hub.set_status(subscriber, command.status)
                self._answer(command.id, {})
            case _:
                alone = is_alone(command)
                await self._until(lambda: self._credit.may_begin(alone=alone))
                self._credit.begin(alone=alone)
                self._start(self._change(session, command))

    async def _change(self, session: Session, change: ops.Change) -> None:
        try:
            self._answer(change.id, await perform(self._chat, session, change))
        except Exception as error:  # noqa: BLE001 - the border, as in `_take`
            self._refuse(change.id, error)
        finally:
            self._credit.end()

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def _until(self, may: Callable[[], bool]) -> None:
        while not may():
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn
            self._turn = None

    def _answer(self, number: int | None, result: Any) -> None:
        if number is not None:
            self._subscriber.push(answer_frame(number, result))

    def _refuse(self, number: int | None, error: Exception) -> None:
        how = answering(type(error))
        if how.level == "error":
            _log.error("socket.command_failed", code=how.code, exc_info=error)
        else:
            getattr(_log, how.level)("socket.command_refused", code=how.code)
        body = json_bytes(error_body(error, how))
        self._subscriber.push(Frame(b'{"id":%b,%b' % (json_bytes(number), body[1:])))

"""One connection: its reader takes commands in, its writer lets frames out, and neither waits for another connection.

The reader stops reading while too many commands are under way (`Credit`); the writer stops while the client does not
read, and what then waits is bounded (`Outbox`). Commands that had begun when the client left are finished: they came.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
import structlog

from chat import NotFound, Session, UnknownSession, parsed_id
from dataserver.errors import answering, error_body
from dataserver.refusals import InvalidBody, Unauthenticated
from dataserver.socket import ops
from dataserver.socket.changes import is_alone, perform
from dataserver.socket.credit import Credit
from dataserver.socket.endings import MALFORMED, NO_HELLO, SESSION_ENDED, TOO_MANY
from dataserver.socket.frames import Frame, answer_frame
from dataserver.socket.links import closed
from dataserver.socket.subscriber import Subscriber
from dataserver.socket.subscriptions import Subscription
from dataserver.wire import json_bytes

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from chat import Chat
    from dataserver.answers import Send
    from dataserver.departures import Receive
    from dataserver.socket.hub import Hub
    from dataserver.socket.links import Link

MAX_MALFORMED_COUNT: Final = 20
MAX_TURN_COUNT: Final = 16
"""Commands that are taken before others have their turn: a server hands over thousands that came together at once."""
LAST_COMMANDS_S: Final = 5.0
"""How long commands may take whose client has left."""
TOKEN_CHECK_S: Final = 15.0
"""How often it is asked whether the client's token still counts."""

Authenticate = Callable[[bytes | None], Session]
"""Tells whose an `Authorization` header is; raises UnknownSession."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Connection:
    """One client, from its acceptance to its end."""

    __slots__ = (
        "_authenticate",
        "_chat",
        "_credit",
        "_hub",
        "_link",
        "_malformed_count",
        "_receive",
        "_send",
        "_subscriber",
        "_tasks",
        "_timer",
        "_token",
        "_turn",
    )

    def __init__(
        self, chat: Chat, hub: Hub, authenticate: Authenticate, *, receive: Receive, send: Send, link: Link
    ) -> None:
        self._chat = chat
        self._hub = hub
        self._authenticate = authenticate
        self._receive = receive
        self._send = send
        self._link = link
        self._subscriber = Subscriber(None, hub.limits.max_waiting_bytes)
        self._credit = Credit(hub.limits.max_in_flight)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._turn: asyncio.Future[None] | None = None
        """What the reader waits for while it may begin no command."""
        self._malformed_count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._token = b""

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
            if session is None:
                self._timer = loop.call_later(self._hub.limits.hello_timeout_s, self._end_unknown)
            else:
                self._enter(session, token)
            with reading:
                await self._read()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=LAST_COMMANDS_S)
        finally:
            self.gone()
            if self._timer is not None:
                self._timer.cancel()
            for task in (writer, *self._tasks):
                task.cancel()
        await asyncio.wait((writer,))
        if not writer.cancelled():
            writer.result()

    async def _write(self, reading: anyio.CancelScope) -> None:
        subscriber = self._subscriber
        try:
            while frames := await subscriber.frames():
                self._hub.sent_bytes += sum(frame.size for frame in frames)
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
                self._hello(command)
            else:
                await self._begin(self._session(), command)
        except InvalidBody as error:
            self._refuse(ops.number_of(text) if number is None else number, error)
            self._malformed_count += 1
            if self._malformed_count >= MAX_MALFORMED_COUNT:
                self._subscriber.end(MALFORMED)
        except Exception as error:  # noqa: BLE001 - the border: whatever it is ends here, and the client is told
            self._refuse(number, error)

    def _session(self) -> Session:
        session = self._subscriber.session
        if session is None:
            raise Unauthenticated('say who you are first: {"op": "hello", "token": TOKEN}')
        return session

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

    def _hello(self, command: ops.Hello) -> None:
        token = command.token.encode()
        session = self._authenticate(b"Bearer " + token)
        known = self._subscriber.session
        if known is None:
            self._enter(session, token)
        elif (known.user_id, known.device_id) == (session.user_id, session.device_id):
            self._token = token
        else:
            raise Unauthenticated("the token belongs to another device; open another connection")
        limits = self._hub.limits
        self._answer(
            command.id,
            {
                "user": str(session.user_id),
                "device": str(session.device_id),
                "max_frame_bytes": limits.max_frame_bytes,
                "max_in_flight": limits.max_in_flight,
                "ping_interval_ms": int(limits.ping_interval_s * 1_000),
            },
        )

    def _enter(self, session: Session, token: bytes) -> None:
        if not self._hub.enter(self._subscriber, session):
            self._subscriber.end(TOO_MANY)
        self._token = token
        self._check_token_later()

    def _end_unknown(self) -> None:
        self._subscriber.end(NO_HELLO)

    def _check_token_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(TOKEN_CHECK_S, self._check_token)

    def _check_token(self) -> None:
        try:
            self._authenticate(b"Bearer " + self._token)
        except UnknownSession:
            self._subscriber.end(SESSION_ENDED)
        else:
            self._check_token_later()

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

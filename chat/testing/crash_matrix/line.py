"""A client's line to the server of the matrix: one connection, many calls under way; also the queue's transport.

What comes back says what a queue has to know: no contact, no answer, or the answer, typed.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio

from chat.errors import AnswerLost, AuthExpired, Permanent, RateLimited, Transient, Unreachable
from chat.testing.crash_matrix import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from chat.queue.handlers import Delivery
    from chat.testing.crash_matrix.wire import Op, Reply

_BREATH_S = 0.02
_PATIENCE_S = 0.5


class _Waiter:
    __slots__ = ("event", "reply")

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.reply: Reply | None = None


class _Connection:
    """One connection while it holds."""

    def __init__(self, channel: wire.Channel) -> None:
        self.is_open = True
        self.waiting: dict[int, _Waiter] = {}
        self.outgoing = wire.Outgoing()
        self._channel = channel

    async def run(self) -> None:
        """Send, and hand out the replies, until it breaks; then nobody who waits will get one."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self.outgoing.run, self._channel)
                lines = wire.Lines()
                while data := await self._channel.receive():
                    for line in lines.cut(data):
                        self._hand_out(wire.decode_reply(line))
                group.cancel_scope.cancel()
        finally:
            self._channel.close()
            self.is_open = False
            for waiter in self.waiting.values():
                waiter.event.set()

    def _hand_out(self, reply: Reply) -> None:
        waiter = self.waiting.get(reply.number)
        if waiter is not None:  # else it came twice, or too late
            waiter.reply = reply
            waiter.event.set()


class Line:
    """A line to the server; made by `open_line`. Connects when it is needed."""

    def __init__(self, caller: str, group: TaskGroup, sabotage: str | None) -> None:
        self._caller = caller
        self._group = group
        self._sabotage = sabotage
        self._numbers = count(1)
        self._delivered_count = 0
        self._connection: _Connection | None = None

    async def deliver(self, delivery: Delivery) -> Any:
        """See `Transport`."""
        if self._sabotage in {"calls", "order"}:
            self._group.start_soon(self._deliver_some_time, delivery)
            return {}
        return await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> Any:
        payload = delivery.payload
        reply = await self.request(
            "call",
            client_id=secrets.token_hex(8) if self._sabotage == "ids" else delivery.client_id,
            name=payload.name,
            kind=delivery.type,
            key=payload.key,
            account=delivery.account,
        )
        return _answer(reply)

    async def _deliver_some_time(self, delivery: Delivery) -> None:
        """What the queue should have waited for; `calls` tries once, `order` until it is done, every other one late."""
        self._delivered_count += 1
        if (
            self._sabotage == "order" and self._delivered_count % 2
        ):  # the next one overtakes it, whatever the weather
            await anyio.sleep(_BREATH_S)
        while True:
            try:
                with anyio.fail_after(_PATIENCE_S):
                    await self._deliver(delivery)
            except TimeoutError:
                continue
            except (AnswerLost, AuthExpired, Permanent, RateLimited, Transient, Unreachable):
                if self._sabotage == "calls":
                    return
                await anyio.sleep(_BREATH_S)
            else:
                return

    async def ask(self, delivery: Delivery) -> Any:
        """See `Transport`."""
        reply = await self.request(
            "ask",
            client_id=delivery.client_id,
            name=delivery.payload.name,
            kind=delivery.type,
            key=delivery.payload.key,
            account=delivery.account,
        )
        return _answer(reply)

    async def insist(self, op: Op, *, account: str = "") -> Any:
        """Ask for something that may be asked for any number of times, until there is an answer."""
        while True:
            try:
                return _answer(await self.request(op, account=account))
            except (AnswerLost, Unreachable):
                await anyio.sleep(_BREATH_S)

    async def request(self, op: Op, **fields: str) -> Reply:
        """Return the server's reply.

        Raises:
            Unreachable: There is no server.
            AnswerLost: The connection broke before there was a reply.
        """
        connection = self._connected()
        number, waiter = next(self._numbers), _Waiter()
        connection.waiting[number] = waiter
        try:
            connection.outgoing.put(wire.Request(number=number, op=op, caller=self._caller, **fields))
            if connection.is_open:
                await waiter.event.wait()
        finally:
            del connection.waiting[number]
        if waiter.reply is None:
            raise AnswerLost("the connection broke")
        return waiter.reply

    def _connected(self) -> _Connection:
        if self._connection is None or not self._connection.is_open:
            try:
                self._connection = _Connection(wire.Channel.connected())
            except OSError as error:
                raise Unreachable(type(error).__name__) from error
            self._group.start_soon(self._connection.run)
        return self._connection


def _answer(reply: Reply) -> Any:
    status = reply.status
    if status == wire.OK:
        return reply.answer
    if status == wire.NOT_LOGGED_IN:
        raise AuthExpired("log in again", status=status)
    if status == wire.TOO_MANY:
        raise RateLimited("slower", status=status, retry_after_s=reply.retry_after_s)
    if status == wire.BROKEN:
        raise Transient("it broke", status=status)
    raise Permanent("it will not", status=status)


@asynccontextmanager
async def open_line(caller: str, *, sabotage: str | None = None) -> AsyncIterator[Line]:
    """Return a line to the server in the present folder."""
    async with anyio.create_task_group() as group:
        yield Line(caller, group, sabotage)
        group.cancel_scope.cancel()

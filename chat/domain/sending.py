"""Messages on their way in: each is stored once, in its room's order, and in the order its device sent them.

One statement does a send: it tests the sender's rights, takes the room's next number, and its trigger writes the event;
sends of many users share a commit, and those that come while one is written share a statement (`GatheredSends`). Only
when it gave no row, or the client id is there already, is a second question asked. A device that has several sends in
flight numbers them (`Order`); the number is taken in the same transaction. A refused send takes its number too, so that
those behind it go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chat.domain.acting import payload_hash
from chat.domain.gathered_sends import GatheredSends, Prepared
from chat.domain.ids import check_client_id
from chat.domain.mentions import mentioned
from chat.domain.permissions import Rank
from chat.domain.refusals import ClientIdReused, InvalidValue, Muted, NotFound, NotPermitted, OutOfTurn
from chat.domain.turns import Turns
from storage import ConstraintViolated, Earlier, NothingEarlier

if TYPE_CHECKING:
    from chat.domain.gathered_sends import Rows
    from chat.domain.limits import ChatLimits
    from chat.domain.rates import RateLimit
    from chat.domain.tables import Tables
    from workers import Clock

KIND = "send-message"


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The server's word that a message is on disk."""

    client_id: str
    id: str
    seq: int
    room_id: str
    duplicate: bool = False
    """It was sent before; this is what it was answered then."""


class Order(msgspec.Struct, frozen=True):
    """The place of a send among those of its device to a room, within one session of the device's queue."""

    session: str
    number: int
    """From 1."""


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a user sends."""

    room_id: int
    sender_id: int
    client_id: str
    content: str
    reply_to: int | None = None
    mentions: tuple[int, ...] = ()
    """Beside those that the content names by `<@ID>`."""
    order: Order | None = None


class Sending:
    """Stores messages."""

    def __init__(self, tables: Tables, limits: ChatLimits, clock: Clock, pace: RateLimit) -> None:
        self._tables = tables
        self._limits = limits
        self._clock = clock
        self._pace = pace
        self._turns = Turns(
            max_waiting_count=limits.max_waiting_sends, patience_s=limits.out_of_turn_patience_s
        )
        self._gathered = GatheredSends(tables, clock, self._turns, self._stored_alone)

    async def run(self) -> None:
        """Store what comes together, until it is closed."""
        await self._gathered.run()

    def close(self) -> None:
        """Let `run` end."""
        self._gathered.close()

    async def send(self, message: NewMessage) -> Ack:
        """Store a message; it is on disk, numbered and bound to its client id when this returns.

        Raises:
            InvalidValue, LimitReached: The content, the client id or the mentions break their rule.
            NotFound, NotPermitted, Muted: The sender may not write there, or there is no such room or answered message.
            ClientIdReused: The client id belongs to something else of the sender's.
            OutOfTurn: An earlier send of the device is missing; nothing was stored.
            TooOften: The sender sent too many in too short a time; nothing was stored, nor its number taken.
            StorageError: As `Database.execute`; sending it again is safe.
        """
        check_client_id(message.client_id)
        content_bytes = self._checked_size(message.content)
        self._pace.take(message.sender_id)
        order, sender_id = message.order, message.sender_id
        prepared = Prepared(
            message.room_id,
            sender_id,
            message.client_id,
            _digest(message),
            message.content,
            content_bytes,
            message.reply_to,
            mentioned(message.content, message.mentions, most=self._limits.max_mentions_per_message),
            None if order is None else (order.session, message.room_id, sender_id, order.number),
        )
        try:
            rows = await self._gathered.stored(prepared)
            if not rows and prepared.turn is not None and prepared.rows is not None:
                rows = await self._stored_alone(prepared)  # together, nobody waits for a turn
        except ConstraintViolated:
            return await self._sent_before(message, prepared.digest)
        if not rows:
            ack = await self._replayed(message, prepared.digest)
            if ack is not None:
                return ack
            raise await self.why_not(message.room_id, sender_id, message.reply_to)
        return Ack(
            client_id=message.client_id, id=str(rows[0][0]), seq=rows[0][1], room_id=str(message.room_id)
        )

    async def void(self, room_id: int, user_id: int, order: Order) -> None:
        """Take a number for a send that will not come, so that those behind it go on; once taken, again is nothing.

        Raises:
            NotFound: There is no such room for this user.
            TooOften: As for a send, which it counts as.
        """
        row = await self._tables.one("standing", room_id, user_id)
        if row is None or row[2] is None:
            raise NotFound(f"there is no room {room_id}", what="room")
        self._pace.take(user_id)
        await self._take_number(room_id, user_id, order)

    async def _take_number(self, room_id: int, user_id: int, order: Order) -> None:
        await self._tables.write("ordered", order.session, room_id, user_id, order.number, self._now_ms())
        self._turns.taken((order.session, room_id, user_id, order.number))

    async def why_not(self, room_id: int, user_id: int, reply_to: int | None = None) -> Exception:
        """Return what stands against a send of this user to this room."""
        row = await self._tables.one("standing", room_id, user_id)
        if row is None or row[2] is None:
            return NotFound(f"there is no room {room_id}", what="room")
        _, archived_at_ms, _, muted_until_ms, _ = row
        if archived_at_ms is not None:
            return NotPermitted(f"the room {room_id} is archived", needed=Rank.MEMBER.role)
        if muted_until_ms > self._now_ms():
            return Muted("you are muted in this space", until_ms=muted_until_ms)
        if reply_to is not None:
            return NotFound(f"there is no message {reply_to} in the room {room_id}", what="message")
        return NotPermitted("you may not write in this room", needed=Rank.MEMBER.role)

    async def _stored_alone(self, send: Prepared) -> Rows:
        """Store a send by itself, a numbered one in its turn; return its id and seq, or nothing.

        Raises:
            ConstraintViolated: It is there already.
            OutOfTurn: An earlier send of the device is missing.
        """
        turn = send.turn
        if turn is None:
            return await self._written(send)
        *session, number = turn
        with self._turns.waiting_for((*turn[:3], number - 1)) as predecessor:
            while True:
                try:
                    written = await self._tables.write_all(
                        [
                            ("ordered", (*turn, self._now_ms())),
                            ("send", (Earlier(0, "room_id"), *self._params(send)[1:])),
                        ]
                    )
                except NothingEarlier:
                    row = await self._tables.one("order_reached", *session)
                    reached = 0 if row is None else row[0]
                    if number <= reached:  # its turn has passed: it was refused before
                        return await self._written(send)
                    if number > reached + 1 and not await predecessor.came():
                        raise OutOfTurn(
                            f"send number {number} came before number {reached + 1}", expected=reached + 1
                        ) from None
                else:
                    self._turns.taken(turn)
                    return written[1].rows

    async def _written(self, send: Prepared) -> Rows:
        return (await self._tables.write("send", *self._params(send))).rows

    def _params(self, send: Prepared) -> tuple[object, ...]:
        return (
            send.room_id,
            send.sender_id,
            send.client_id,
            send.digest,
            send.content,
            send.reply_to,
            send.mentions,
            self._now_ms(),
        )

    async def _sent_before(self, message: NewMessage, digest: bytes) -> Ack:
        ack = await self._replayed(message, digest)
        if ack is None:
            raise NotFound(f"there is no room {message.room_id}", what="room")
        if message.order is not None:
            await self._take_number(message.room_id, message.sender_id, message.order)
        return ack

    async def _replayed(self, message: NewMessage, digest: bytes) -> Ack | None:
        row = await self._tables.one("recorded", message.sender_id, message.client_id)
        if row is None:
            return None
        if row[0] != KIND or row[1] != digest:
            raise ClientIdReused(
                f"the client id {message.client_id!r} belongs to another {row[0]} of yours", field="client_id"
            )
        return msgspec.structs.replace(msgspec.json.decode(row[2], type=Ack), duplicate=True)

    def _checked_size(self, content: str) -> int:
        """Return how many bytes `content` has, if they are not too many."""
        size = len(content.encode())
        if size > self._limits.max_content_bytes:
            raise InvalidValue(
                f"the content has {size} bytes; at most {self._limits.max_content_bytes} are allowed",
                field="content",
            )
        return size

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _digest(message: NewMessage) -> bytes:
    return payload_hash(
        KIND, [str(message.room_id), message.content, message.reply_to, list(message.mentions)]
    )

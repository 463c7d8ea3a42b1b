"""What a client keeps of the server: rooms, messages, spaces, and how far it has heard of each stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chat.client.effects import message_after, space_after
from chat.client.following import Position
from chat.client.views import ChatMessage, ChatRoom, ChatSpace, StreamEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.domain.tables import Step, Tables

KEPT_EVENT_COUNT: Final = 1_000
"""Of each stream; older ones are in the messages by now."""
NO_SEQ: Final = 2**62

_encode: Final = msgspec.json.Encoder().encode


class Cache:
    """Reads and writes the store; positions are in memory too, since every event asks for one."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.positions: dict[str, Position] = {}

    async def load(self) -> None:
        """Read how far each stream was taken over."""
        rows = await self._tables.all("streams")
        self.positions = {stream: Position(epoch, seq) for stream, epoch, seq in rows}

    async def rooms(self) -> list[ChatRoom]:
        """Return the rooms as they were heard of last."""
        return [msgspec.json.decode(row[0], type=ChatRoom) for row in await self._tables.all("rooms")]

    async def spaces(self) -> list[ChatSpace]:
        """Return the spaces that were heard of."""
        return [msgspec.json.decode(row[0], type=ChatSpace) for row in await self._tables.all("spaces")]

    async def space(self, space_id: str) -> ChatSpace:
        """Return a space; of one that was not heard of only its id is known."""
        row = await self._tables.one("space", space_id)
        if row is None:
            return ChatSpace(id=space_id, is_member=False)
        return msgspec.json.decode(row[0], type=ChatSpace)

    async def messages(self, room_id: str, *, before_seq: int, limit: int) -> list[ChatMessage]:
        """Return the last messages before a seq, in order, as far as they are here."""
        rows = await self._tables.all("messages", room_id, before_seq, limit)
        return [msgspec.json.decode(row[0], type=ChatMessage) for row in rows]

    async def message(self, room_id: str, name: str, user_id: str) -> ChatMessage | None:
        """Return the message of that id, or that client id of the user's, if it is here."""
        row = await self._tables.one("message", room_id, name, user_id)
        return None if row is None else msgspec.json.decode(row[0], type=ChatMessage)

    async def events(self, stream: str, *, after_seq: int, limit: int) -> list[StreamEvent]:
        """Return events of a stream, as far as they are here; of a message they have the id alone."""
        rows = await self._tables.all("events", stream, after_seq, limit)
        return [msgspec.json.decode(row[0], type=StreamEvent) for row in rows]

    async def save_rooms(self, rooms: Sequence[ChatRoom]) -> None:
        """Have these rooms and no others."""
        await self._tables.write_all(
            [
                ("save_rooms", (_text(rooms),)),
                ("forget_other_rooms", (_text([each.id for each in rooms]),)),
            ]
        )

    async def save_space(self, space: ChatSpace) -> None:
        """Have `space` as it is."""
        await self._tables.write("save_space", space.id, _text(space))

    async def save_messages(self, room_id: str, messages: Sequence[ChatMessage]) -> None:
        """Have these messages as they are; those without a number are not at the server, and left out."""
        stored = [each for each in messages if each.seq]
        if stored:
            await self._tables.write("save_messages", room_id, _text(stored))

    async def begin(self, stream: str, position: Position, messages: Sequence[ChatMessage] = ()) -> None:
        """Follow a stream from `position` on, with the newest messages up to there; what was before them is forgotten.

        What the user has sent since stays, unless the numbers began anew.
        """
        former = self.positions.get(stream)
        is_other = former is not None and former.epoch != position.epoch
        await self._tables.write_all(
            [
                ("forget_events", (stream,)),
                ("forget_messages", (stream, NO_SEQ if is_other else position.seq)),
                ("save_messages", (stream, _text(messages))),
                ("save_stream", (stream, *position)),
            ]
        )
        self.positions[stream] = position

    async def forget_stream(self, stream: str) -> None:
        """Follow a stream no more; what was read of it stays."""
        await self._tables.write("forget_stream", stream)
        self.positions.pop(stream, None)

    async def take(self, events: Sequence[StreamEvent], me: str) -> list[ChatMessage | None]:
        """Take over events of one stream, in order, each the one after the last; all or none.

        Returns the message that each is about, as it stands after it.
        """
        stream, last = events[0].stream, events[-1]
        known = await self._messages_of(stream, events)
        after: list[ChatMessage | None] = []
        for event in events:
            name = None if event.message is None else str(event.message["id"])
            message = None if name is None else message_after(known.get(name), event)
            if name is not None and message is not None:
                known[name] = message
            after.append(message)
        position = Position(self.positions[stream].epoch, last.seq)
        steps: list[Step] = [
            ("save_events", (stream, _text([_without_content(each) for each in events]))),
            ("save_messages", (stream, _text(list(known.values())))),
            ("save_stream", (stream, *position)),
        ]
        if not known:
            steps += await self._space_steps(stream, events, me)
        if last.seq // KEPT_EVENT_COUNT > self.positions[stream].seq // KEPT_EVENT_COUNT:
            steps.append(("prune_events", (stream, last.seq - KEPT_EVENT_COUNT)))
        await self._tables.write_all(steps)
        self.positions[stream] = position
        return after

    async def _messages_of(self, stream: str, events: Sequence[StreamEvent]) -> dict[str, ChatMessage]:
        """Return the messages that are here of those that events are about, by id."""
        ids = [event.message["id"] for event in events if event.message is not None]
        rows = await self._tables.all("messages_of", stream, _text(ids)) if ids else []
        found = [msgspec.json.decode(row[0], type=ChatMessage) for row in rows]
        return {message.id: message for message in found}

    async def _space_steps(self, stream: str, events: Sequence[StreamEvent], me: str) -> list[Step]:
        former = space = await self.space(stream)
        for event in events:
            space = space_after(space, event, me)
        return [] if space == former else [("save_space", (stream, _text(space)))]


def _without_content(event: StreamEvent) -> StreamEvent:
    """Return an event as it is kept: what a message says is in the message alone, and goes when that is deleted."""
    if event.message is None:
        return event
    return msgspec.structs.replace(event, message={"id": event.message["id"]})


def _text(value: object) -> str:
    return _encode(value).decode()

"""The lines of a chat log, one JSON object each, and what happened between them. Pure but for the reading of a stream.

A message has `id`, `room`, `author`, `ts` (ISO 8601) and `text`, and perhaps `reply_to`, the id of the message that it
answers. Who came, went or changed their name may stand in a second file: `room`, `author`, `ts`, `event` (join, part,
nick), `text`, and `after`, the id of the last message before it in its room. Other keys are passed over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, BinaryIO, Final, Literal, TypeVar

import msgspec

from chat import ChatLimits, LogLine
from dataserver.imports.lines import Line, read_lines
from dataserver.imports.order import ImportRefused
from dataserver.imports.records import MAX_RECORD_BYTES, BadRecord

MAX_EVENT_COUNT: Final = 1_000_000
"""They are held while the messages are read."""
_MAX_TEXT_BYTES: Final = ChatLimits().max_content_bytes
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_Room = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
_Author = Annotated[str, msgspec.Meta(max_length=200)]
_T = TypeVar("_T")
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Message(msgspec.Struct, gc=False):
    id: _Number
    room: _Room
    author: _Author
    ts: datetime
    text: str
    reply_to: _Number | None = None


class _Event(msgspec.Struct, gc=False):
    room: _Room
    author: _Author
    ts: datetime
    event: Literal["join", "part", "nick"]
    text: str = ""
    after: _Number | None = None


Place = tuple[str, int | None]
"""A room, and the last message before; None before all of them."""
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_EVENT: Final = msgspec.json.Decoder(_Event)


def read_messages(stream: BinaryIO) -> Iterator[LogLine | BadRecord]:
    """Yield the messages of a log, and a complaint for each line that is none."""
    for line in read_lines(stream):
        found = _decoded(line, _MESSAGE)
        if isinstance(found, _Message):
            yield LogLine(
                number=found.id,
                room=found.room,
                author=found.author,
                at_ms=_at_ms(found.ts),
                text=found.text,
                answered=found.reply_to,
            )
        elif found is not None:
            yield found


def read_events(stream: BinaryIO) -> tuple[dict[Place, list[LogLine]], list[BadRecord]]:
    """Return what happened at each place of a log, in its order, and the lines that are bad.

    Raises:
        ImportRefused: There are too many.
    """
    found: defaultdict[Place, list[LogLine]] = defaultdict(list)
    bad: list[BadRecord] = []
    for number, line in enumerate(read_lines(stream)):
        if number >= MAX_EVENT_COUNT:
            raise ImportRefused(f"there are more than {MAX_EVENT_COUNT:,} events")
        event = _decoded(line, _EVENT)
        if isinstance(event, _Event):
            found[event.room, event.after].append(
                LogLine(
                    number=number,
                    room=event.room,
                    author=event.author,
                    at_ms=_at_ms(event.ts),
                    text=event.text,
                    event=event.event,
                )
            )
        elif event is not None:
            bad.append(event)
    return dict(found), bad


def in_order(
    messages: Iterable[LogLine | BadRecord], events: dict[Place, list[LogLine]]
) -> Iterator[LogLine | BadRecord]:
    """Yield each message and, at their places, the events; those whose place did not come are yielded last.

    `events` is emptied.
    """
    if not events:
        yield from messages
        return
    for message in messages:
        if isinstance(message, LogLine):
            yield from events.pop((message.room, None), ())
            yield message
            yield from events.pop((message.room, message.number), ())
        else:
            yield message
    for place in list(events):
        yield from events.pop(place)


def _decoded(line: Line, decoder: msgspec.json.Decoder[_T]) -> _T | BadRecord | None:
    if line.is_too_long:
        return BadRecord(f"longer than {MAX_RECORD_BYTES} bytes", line.number, line.after)
    try:
        found = decoder.decode(line.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not line.content or line.content.isspace():
            return None
        return BadRecord(f"no line of a log: {error}", line.number, line.after)
    if len(line.content) > _MAX_TEXT_BYTES and isinstance(found, _Message):
        size = len(found.text.encode())
        if size > _MAX_TEXT_BYTES:
            reason = f"{size} bytes of text; a message may have {_MAX_TEXT_BYTES}"
            return BadRecord(reason, line.number, line.after)
    return found


def _at_ms(ts: datetime) -> int:
    moment = ts if ts.tzinfo is not None else ts.replace(tzinfo=UTC)
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000 + passed.microseconds // 1_000

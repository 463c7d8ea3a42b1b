"""What a program is told of its messages: one struct an event, made from the log of actions by one pure function.

All stores keep a log of the same rows, so all tell the same. `queued` comes once for each message, when it is stored;
`retrying` whenever it is to be tried again, `sent` and `failed` when that is known. A message that was taken back is not
told of here: whoever took it back has the answer, and the action queue's log has `action.cancelled`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chat.errors import Failure
from chat.queue.action_type import parts_of
from chat.queue.events import CLIENT_ID_CONFLICT, REFUSED, SESSION_EXPIRED, Event
from chat.queue.payloads import SendMessage

SEND_MESSAGE = "send-message"
_LANE_PARTS_COUNT = 3
_TURNS = frozenset({"calling", "uncertain"})
_UNKNOWN = Failure("transient", "unknown")

Known = Callable[[str], SendMessage | None]


class NamedEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """An event that carries its name into its JSON."""

    @property
    def name(self) -> str:
        """What the event is called, as in its JSON."""
        return str(self.__struct_config__.tag)


class MessageQueued(NamedEvent, frozen=True, kw_only=True, tag="chat.message.queued"):
    """A message was stored, and will be sent."""

    client_id: str
    room_id: str
    content: str | None
    """None to a reader that comes when the message is sent and wiped here: the server has it."""
    reply_to_id: str | None
    at: float
    """In seconds UTC."""


class MessageSent(NamedEvent, frozen=True, kw_only=True, tag="chat.message.sent"):
    """The server has it."""

    client_id: str
    server_id: str | None
    seq: int | None
    """Its number in the room."""
    room_id: str


class MessageFailed(NamedEvent, frozen=True, kw_only=True, tag="chat.message.failed"):
    """It was given up, was dropped because its room is gone, or could not even be stored."""

    client_id: str
    room_id: str
    error: Failure


class MessageRetrying(NamedEvent, frozen=True, kw_only=True, tag="chat.message.retrying"):
    """It will be tried again."""

    client_id: str
    room_id: str
    attempt: int
    """The number of the try that comes: 2 after the first failure, 1 when somebody asked for all tries again."""
    retry_at: float
    """In seconds UTC."""


class SessionExpired(NamedEvent, frozen=True, kw_only=True, tag="session.expired"):
    """The account has to log in again; its messages wait until `resume`."""

    account: str
    at: float


MessageEvent = MessageQueued | MessageSent | MessageFailed | MessageRetrying | SessionExpired


def message_event(event: Event, account: str, known: Known) -> MessageEvent | None:
    """Return what `event` tells of the messages of `account`, None if it is about something else.

    `known` returns a message of this process by its client id, while it is remembered.
    """
    if (event.account or "") != account:
        return None
    if event.kind == SESSION_EXPIRED:
        return SessionExpired(account=account, at=event.at_ms / 1000)
    tell = _TELLS.get(event.kind)
    if tell is None or event.type != SEND_MESSAGE or event.client_id is None:
        return None
    return tell(event, event.client_id, known)


def sent_of(client_id: str, room_id: str, answer: Any) -> MessageSent:
    """Return what the server's `answer` (`{"id", "seq", ...}`) says of a message; what it leaves out is None."""
    told = answer if isinstance(answer, dict) else {}
    server_id, seq = told.get("id"), told.get("seq")
    return MessageSent(
        client_id=client_id,
        server_id=None if server_id is None else str(server_id),
        seq=seq if isinstance(seq, int) else None,
        room_id=room_id,
    )


def room_of(lane: str | None) -> str:
    """Return the room of a message's lane; empty where the lane is forgotten, as that of an old event may be."""
    parts = [] if lane is None else parts_of(lane)
    return parts[2] if len(parts) == _LANE_PARTS_COUNT else ""


def _queued(event: Event, client_id: str, known: Known) -> MessageEvent | None:
    room_id, at = room_of(event.lane), event.at_ms / 1000
    if event.was is None:
        message = event.payload if isinstance(event.payload, SendMessage) else known(client_id)
        content, reply_to_id = (message.content, message.reply_to_id) if message else (None, None)
        return MessageQueued(
            client_id=client_id, room_id=room_id, content=content, reply_to_id=reply_to_id, at=at
        )
    if event.was in _TURNS:  # its turn ended before it was tried
        return None
    return MessageRetrying(client_id=client_id, room_id=room_id, attempt=1, retry_at=at)


def _retrying(event: Event, client_id: str, _: Known) -> MessageEvent | None:
    if event.due_at_ms is None:  # it goes on at once
        return None
    return MessageRetrying(
        client_id=client_id,
        room_id=room_of(event.lane),
        attempt=event.attempts + 1,
        retry_at=event.due_at_ms / 1000,
    )


def _sent(event: Event, client_id: str, _: Known) -> MessageEvent:
    return sent_of(client_id, room_of(event.lane), event.result)


def _failed(event: Event, client_id: str, _: Known) -> MessageEvent:
    return MessageFailed(client_id=client_id, room_id=room_of(event.lane), error=event.failure or _UNKNOWN)


def _refused(event: Event, client_id: str, known: Known) -> MessageEvent | None:
    if event.failure is not None and event.failure.code == CLIENT_ID_CONFLICT:
        return None  # another message of that id is there, and this must not tell of it
    return _failed(event, client_id, known)


_TELLS: dict[str, Callable[[Event, str, Known], MessageEvent | None]] = {
    "queued": _queued,
    "retry_wait": _retrying,
    "uncertain": _retrying,
    "done": _sent,
    "failed": _failed,
    "expired": _failed,
    REFUSED: _refused,
}

"""What an application is told, one struct an event, and how: to any number of listeners, none of which holds up the others."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Literal

import anyio

from chat.client.views import ChatMessage, ChatSpace, StreamEvent
from chat.errors import Failure
from chat.messages.events import NamedEvent, SessionExpired
from chat.sync.merge import FieldConflict

MAX_WAITING_COUNT: Final = 1_000
"""Events that wait for one listener; the oldest go first, and the listener is told how many."""


class MessageChanged(NamedEvent, frozen=True, kw_only=True, tag="chat.message.changed"):
    """A message came, or something about it changed."""

    room_id: str
    kind: str
    """`message.created`, `message.edited`, `message.deleted`, `reaction.added`, `pin.removed` and so on."""
    message: ChatMessage
    actor: str | None


class SpaceChanged(NamedEvent, frozen=True, kw_only=True, tag="chat.space.changed"):
    """Something about a space changed: its settings, its rooms, who is in it."""

    kind: str
    space: ChatSpace
    body: dict[str, Any]


class UserChanged(NamedEvent, frozen=True, kw_only=True, tag="chat.user.changed"):
    """Something of the user's own changed, here or on another device."""

    what: StreamEvent


class ActionDone(NamedEvent, frozen=True, kw_only=True, tag="chat.action.done"):
    """The server has done an action."""

    client_id: str
    type: str
    result: Any


class ActionRolledBack(NamedEvent, frozen=True, kw_only=True, tag="chat.action.rolled_back"):
    """An action will not be done, so what it showed is shown no longer."""

    client_id: str
    type: str
    state: str
    failure: Failure | None


class SettingsConflict(NamedEvent, frozen=True, kw_only=True, tag="chat.settings.conflict"):
    """A field of the settings was changed on two devices; the later change counts, and this is the other."""

    conflict: FieldConflict


class SpaceConflict(NamedEvent, frozen=True, kw_only=True, tag="chat.space.conflict"):
    """A setting of a space was changed here and by somebody else; the later change counts, and this is the other."""

    space_id: str
    conflict: FieldConflict


class ConnectionChanged(NamedEvent, frozen=True, kw_only=True, tag="chat.connection.changed"):
    """Live events come, or come no more until there is a connection again; none is missed."""

    is_connected: bool


class ServerDraining(NamedEvent, frozen=True, kw_only=True, tag="chat.server.draining"):
    """The server stops; the client connects again by itself."""

    told: dict[str, Any]


class Ephemeral(NamedEvent, frozen=True, kw_only=True, tag="chat.ephemeral"):
    """Something of the moment, which nobody keeps."""

    kind: Literal["typing", "presence"]
    told: dict[str, Any]


class EventsMissed(NamedEvent, frozen=True, kw_only=True, tag="chat.events.missed"):
    """The listener was too slow for so many events; what they were about can be read as it stands."""

    count: int


ClientEvent = (
    MessageChanged
    | SpaceChanged
    | UserChanged
    | ActionDone
    | ActionRolledBack
    | SettingsConflict
    | SpaceConflict
    | ConnectionChanged
    | ServerDraining
    | Ephemeral
    | EventsMissed
    | SessionExpired
)


class Heard:
    """The events from now on, without an end; it may be left at any time."""

    def __init__(self, listeners: set[Heard]) -> None:
        self._waiting: deque[ClientEvent] = deque()
        self._missed_count = 0
        self._came = anyio.Event()
        self._listeners = listeners
        listeners.add(self)

    def tell(self, event: ClientEvent) -> None:
        """Keep `event` until it is asked for."""
        if len(self._waiting) >= MAX_WAITING_COUNT:
            self._waiting.popleft()
            self._missed_count += 1
        self._waiting.append(event)
        self._came.set()

    def close(self) -> None:
        """Hear no more."""
        self._listeners.discard(self)

    def __aiter__(self) -> Heard:
        return self

    async def __anext__(self) -> ClientEvent:
        while not self._waiting:
            self._came = anyio.Event()
            await self._came.wait()
        if self._missed_count:
            missed, self._missed_count = self._missed_count, 0
            return EventsMissed(count=missed)
        return self._waiting.popleft()


class Listeners:
    """All who listen to one client."""

    def __init__(self) -> None:
        self._listeners: set[Heard] = set()

    def listen(self) -> Heard:
        """Return what is told from now on."""
        return Heard(self._listeners)

    def tell(self, event: ClientEvent) -> None:
        """Tell all of them."""
        for each in self._listeners:
            each.tell(event)

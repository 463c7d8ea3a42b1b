"""Events on their way out: one reader of what was committed, in the order of the commits, for everybody who listens.

An event is never told by who made it: it is read back once its commit is known, so that nobody hears of what a crash
then takes away, and all hear the same order. Listeners are called synchronously and must not block; each bounds itself.

While nobody has a use for events only their number is asked for, which is 11 to 13 us of a reader's time less for each
message of a server that no client is connected to (2026-11-23).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import anyio
import structlog

from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.domain.tables import Tables

PAGE_COUNT: Final = 500
TICK_S: Final = 1.0
"""How often it looks without having been stirred: for what another process wrote, and after a failed read."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class FedEvent(NamedTuple):
    """One committed event."""

    position: int
    stream_id: int
    seq: int
    kind: str
    actor_id: int | None
    json: str
    """As clients get it."""


class Listener(Protocol):
    """Who hears the events of a stream."""

    def hear(self, event: FedEvent) -> None:
        """Take an event; called on the event loop, must return at once."""


class EventFeed:
    """Delivers committed events to those who listen to their streams."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._listeners: dict[int, set[Listener]] = {}
        self._everywhere: dict[Listener, Callable[[], bool]] = {}
        self._stirred = anyio.Event()
        self._position = 0
        self._is_closed = False

    @property
    def position(self) -> int:
        """How far events were delivered."""
        return self._position

    def listen(self, stream_id: int, listener: Listener) -> None:
        """Have `listener` hear the events of a stream that are committed from now on, and perhaps some just before."""
        self._listeners.setdefault(stream_id, set()).add(listener)

    def listen_everywhere(self, listener: Listener, *, has_use: Callable[[], bool] = lambda: True) -> None:
        """Have `listener` hear the events of all streams, unless nobody has a use for any: while `has_use` says no."""
        self._everywhere[listener] = has_use

    def leave(self, stream_id: int, listener: Listener) -> None:
        """Have `listener` hear no more of a stream."""
        listeners = self._listeners.get(stream_id)
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._listeners[stream_id]

    def stir(self) -> None:
        """Look soon: something was committed."""
        self._stirred.set()

    @property
    def _is_heard(self) -> bool:
        return bool(self._listeners) or any(has_use() for has_use in self._everywhere.values())

    async def start(self) -> None:
        """Begin after what is there now."""
        row = await self._tables.one("feed_end")
        self._position = row[0] if row else 0

    def close(self) -> None:
        """Let `run` end."""
        self._is_closed = True
        self.stir()

    async def run(self) -> None:
        """Deliver events until it is closed."""
        while not self._is_closed:
            with anyio.move_on_after(TICK_S):
                await self._stirred.wait()
            self._stirred = anyio.Event()
            try:
                while await self._deliver() == PAGE_COUNT:
                    pass
            except StorageError as error:
                _log.warning("chat.feed_read_failed", reason=type(error).__name__)

    async def _deliver(self) -> int:
        if not self._is_heard:  # as in an import, whose every line would be read back for nobody
            end = await self._tables.one("feed_end")
            if (
                end is not None and not self._is_heard
            ):  # whoever began to listen meanwhile hears all that is new
                self._position = end[0]
                return 0
        rows = await self._tables.all("feed", self._position, PAGE_COUNT)
        for row in rows:
            event = FedEvent(*row)
            self._position = event.position
            for listener in [*self._listeners.get(event.stream_id, ()), *self._everywhere]:
                listener.hear(event)
        return len(rows)

"""Live events: one WebSocket, connected again whenever it breaks; no event is missed, and none is taken twice.

Each stream's events have dense numbers, so what is missing shows by arithmetic, whoever lost it, and is read by HTTP.
Events are taken over in the order in which they come, by one task, which reads no further meanwhile: a server that is
faster than this client's disk waits, or closes the connection and finds the client again where it was.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec
import structlog

from chat.client.errors_of import delivery_error
from chat.client.events import ConnectionChanged, Ephemeral, ServerDraining
from chat.client.following import reconnect_wait_s
from chat.client.said import Draining, Said, as_told
from chat.client.websocket import open_websocket
from chat.errors import AuthExpired, DeliveryError
from chat.own_tasks import own_tasks
from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chat.client.api import Api
    from chat.client.events import ClientEvent
    from chat.client.streams import StreamTaking
    from chat.client.websocket import WebSocket

SUBSCRIBED_AT_ONCE_COUNT: Final = 200
TRY_AGAIN: Final = "try_again"
"""Why streams end that the server could not read; where they stand is known, so all that is needed is to come again."""
MOST_PAUSE_S: Final = 5.0
_HELLO_ID: Final = 1

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class _Drained(Exception):
    """The server stops, or could not read what was missed; it is asked again after a while."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class Live:
    """The connection of one client; `run` is its task."""

    def __init__(
        self,
        url: str,
        api: Api,
        streams: StreamTaking,
        *,
        tell: Callable[[ClientEvent], None],
        chance: Callable[[], float],
        on_connected: Callable[[], None],
        first_wait_s: float = 0.5,
        most_wait_s: float = 30.0,
    ) -> None:
        self._url = url
        self._api = api
        self._streams = streams
        self._tell = tell
        self._chance = chance
        self._on_connected = on_connected
        self._first_wait_s = first_wait_s
        self._most_wait_s = most_wait_s
        self._stirred = anyio.Event()
        self._numbers = _HELLO_ID
        self._subscribing: set[int] = set()
        self._subscribed: set[str] = set()
        self.is_connected = False

    def stir(self) -> None:
        """Connect now, if there is no connection: somebody has logged in, or knows that the network is back."""
        self._stirred.set()

    async def run(self) -> None:
        """Be connected until cancelled."""
        failures = 0
        while True:
            wait_s: float | None = None
            self._stirred = anyio.Event()
            try:
                async with open_websocket(self._url) as socket:
                    first = await self._hello(socket)
                    failures = 0
                    await self._connected(socket, first)
            except _Drained as drained:
                wait_s = drained.wait_s
            except AuthExpired as error:
                _log.info("chat.live_waits_for_login", code=error.code)
                wait_s = float("inf")
            except (DeliveryError, StorageError) as error:
                _log.warning("chat.live_lost", reason=type(error).__name__, said=str(error))
            if wait_s is None:
                wait_s = reconnect_wait_s(
                    failures, self._chance(), first_s=self._first_wait_s, most_s=self._most_wait_s
                )
                failures += 1
            with anyio.move_on_after(wait_s):
                await self._stirred.wait()

    async def _hello(self, socket: WebSocket) -> list[Any]:
        """Say who this is, and return what came together with the answer."""
        login = self._api.login
        await socket.send({"id": _HELLO_ID, "op": "hello", "token": login.access_token})
        answer, *others = await socket.receive()
        refusal = as_told(answer, Said).error
        if refusal is not None:
            error = delivery_error(refusal)
            if isinstance(error, AuthExpired):
                await self._api.renewed(login)
                self.stir()
            raise error
        return others

    async def _connected(self, socket: WebSocket, first: list[Any]) -> None:
        ended = anyio.Event()
        self._subscribed, self._subscribing = set(), set()
        try:
            async with own_tasks(ended.set) as tasks:
                tasks.start_soon(socket.ping, ended)
                self.is_connected = True
                self._on_connected()
                self._tell(ConnectionChanged(is_connected=True))
                await self._subscribe(socket)
                await self._heed(socket, first)
                while True:
                    await self._heed(socket, await socket.receive())
        finally:
            self.is_connected = False
            self._tell(ConnectionChanged(is_connected=False))

    async def _subscribe(self, socket: WebSocket) -> None:
        """Follow all streams that there are for the user, and those no more that are gone."""
        wanted = await self._streams.wanted()
        gone, new = self._subscribed - wanted, sorted(wanted - self._subscribed)
        if gone:
            self._numbers += 1
            await socket.send({"id": self._numbers, "op": "unsubscribe", "streams": sorted(gone)})
        for start in range(0, len(new), SUBSCRIBED_AT_ONCE_COUNT):
            self._numbers += 1
            self._subscribing.add(self._numbers)
            since = self._streams.since(new[start : start + SUBSCRIBED_AT_ONCE_COUNT])
            await socket.send({"id": self._numbers, "op": "subscribe", "streams": since})
        self._subscribed = wanted

    async def _heed(self, socket: WebSocket, messages: Iterable[Any]) -> None:
        is_outdated = False
        all_said = [as_told(each, Said) for each in messages]
        for stream, group in groupby(all_said, key=_stream_of):
            if stream is None:
                for said in group:
                    await self._heed_other(said)
            else:
                events = [said.event for said in group if said.event is not None]
                is_outdated |= await self._streams.take(stream, events)
        if is_outdated:
            await self._subscribe(socket)

    async def _heed_other(self, said: Said) -> None:
        if said.id in self._subscribing and said.ok is not msgspec.UNSET:
            self._subscribing.discard(said.id)
            await self._streams.subscribed(as_told(said.ok, dict[str, dict[str, Any]]))
        elif said.error is not None:
            _log.warning("chat.live_refused", code=said.error.code)
        elif said.drain is not None:
            self._tell(ServerDraining(told=said.drain))
            raise _Drained(as_told(said.drain, Draining).resume_after_ms / 1000)
        elif said.ended is not None:
            self._subscribed -= set(said.ended.streams)
            if said.ended.reason == TRY_AGAIN:
                raise _Drained(max(self._first_wait_s, self._chance() * MOST_PAUSE_S))
        elif said.typing is not None:
            self._tell(Ephemeral(kind="typing", told=said.typing))
        elif said.presence is not None:
            self._tell(Ephemeral(kind="presence", told=said.presence))


def _stream_of(said: Said) -> str | None:
    return None if said.event is None else said.event.stream

"""Takes over what streams tell: whatever is next goes into the cache, what is missing is read first, then it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.client.api import part
from chat.client.events import MessageChanged, SpaceChanged, UserChanged
from chat.client.following import Position, Told, arrival, on_subscribed
from chat.client.said import as_told
from chat.client.views import ChatMessage, ChatRoom, ChatSpace, StreamEvent
from chat.errors import Permanent, TargetGone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chat.client.api import Api
    from chat.client.cache import Cache
    from chat.client.events import ClientEvent

PAGE_COUNT: Final = 500
FIRST_PAGE_COUNT: Final = 100
MAX_REFILLED_COUNT: Final = 10_000
"""Who missed more of a stream reads its newest page, and older ones when they are asked for."""

_ROOMS_CHANGE: Final = frozenset(
    {
        "room.created",
        "room.updated",
        "room.archived",
        "space.joined",
        "space.left",
        "space.deleted",
    }
)


class _Rooms(msgspec.Struct):
    rooms: list[ChatRoom]


class _SpaceNamed(msgspec.Struct):
    id: str


class _Spaces(msgspec.Struct):
    spaces: list[_SpaceNamed]


class _Space(msgspec.Struct):
    settings: dict[str, Any] | None = None
    version: int | None = None


class _Messages(msgspec.Struct):
    messages: list[ChatMessage]


class _Events(msgspec.Struct):
    events: list[StreamEvent]


class StreamTaking:
    """The streams of one store."""

    def __init__(
        self,
        api: Api,
        cache: Cache,
        *,
        tell: Callable[[ClientEvent], None],
        on_own: Callable[[StreamEvent], None],
    ) -> None:
        self._api = api
        self._cache = cache
        self._tell = tell
        self._on_own = on_own
        self._room_ids: set[str] = set()

    async def wanted(self) -> set[str]:
        """Return the streams that there are for the user, as the server has them now.

        Raises:
            DeliveryError: As `Api.call`.
        """
        me = self._api.login.user_id
        rooms = as_told(await self._api.call("GET", "/v1/rooms"), _Rooms).rooms
        await self._cache.save_rooms(rooms)
        self._room_ids = {each.id for each in rooms}
        return {me} | self._room_ids | {each.space for each in rooms} | await self._space_ids()

    async def _space_ids(self) -> set[str]:
        """Return all spaces that the user is in, those without a room too."""
        found: set[str] = set()
        params = {"limit": str(PAGE_COUNT)}
        while page := as_told(await self._api.call("GET", "/v1/spaces", params=params), _Spaces).spaces:
            found |= {each.id for each in page}
            params["after"] = page[-1].id
        return found

    def since(self, streams: Sequence[str]) -> dict[str, Any]:
        """Return how far streams are known here, as the server is told."""
        known = self._cache.positions
        return {each: known[each]._asdict() if each in known else None for each in streams}

    async def subscribed(self, answers: dict[str, Any]) -> None:
        """Bring streams to where what comes next follows.

        Raises:
            DeliveryError: As `Api.call`.
        """
        for stream, answer in answers.items():
            if "error" in answer:
                await self._cache.forget_stream(stream)
                continue
            told = as_told(answer, Told)
            position = self._cache.positions.get(stream)
            step = on_subscribed(position, told)
            missed_count = told.last_seq - (position.seq if position is not None else 0)
            if step == "begin anew" or (step == "refill" and missed_count > MAX_REFILLED_COUNT):
                await self._begin(stream, Position(told.epoch, told.last_seq))
            elif step == "refill":
                await self._refill(stream, told.last_seq)

    async def take(self, stream: str, events: Sequence[StreamEvent]) -> bool:
        """Take over events of a stream as they came, and return whether there are other streams by now.

        Raises:
            DeliveryError: As `Api.call`, where some had to be read.
        """
        position = self._cache.positions.get(stream)
        if position is None:  # it was left while this was on its way
            return False
        fresh: list[StreamEvent] = []
        is_outdated = False
        for event in events:
            kind = arrival(position, event.seq)
            if kind == "gap":
                is_outdated |= await self._taken(stream, fresh)
                fresh = []
                is_outdated |= await self._refill(stream, event.seq - 1)
                position = self._cache.positions[stream]
                kind = arrival(position, event.seq)
            if kind == "next":
                fresh.append(event)
                position = Position(position.epoch, event.seq)
        return await self._taken(stream, fresh) or is_outdated

    async def backlog(self, room_id: str, before_seq: int, limit: int) -> None:
        """Read the last messages before a seq from the server, and keep them.

        Raises:
            DeliveryError: As `Api.call`.
        """
        await self._cache.save_messages(room_id, await self._page_before(room_id, before_seq, limit))

    async def _page_before(self, room_id: str, before_seq: int, limit: int) -> list[ChatMessage]:
        params = {"before_seq": str(before_seq), "limit": str(limit)}
        page = await self._api.call("GET", f"/v1/rooms/{part(room_id)}/messages", params=params)
        return as_told(page, _Messages).messages

    async def _refill(self, stream: str, last_seq: int) -> bool:
        """Read what is missing of a stream up to a seq."""
        is_outdated = False
        while (after := self._cache.positions[stream].seq) < last_seq:
            params = {"after_seq": str(after), "limit": str(PAGE_COUNT)}
            page = await self._api.call("GET", f"/v1/rooms/{part(stream)}/events", params=params)
            events = as_told(page, _Events).events
            if not events:
                break
            is_outdated |= await self._taken(stream, events)
        return is_outdated

    async def _begin(self, stream: str, position: Position) -> None:
        """Take a stream over as it stands: what is there of it is read first, so that no position is without it."""
        messages: list[ChatMessage] = []
        if stream in self._room_ids:
            messages = await self._page_before(stream, position.seq + 1, FIRST_PAGE_COUNT)
        elif stream != self._api.login.user_id:
            await self._begin_space(stream)
        await self._cache.begin(stream, position, messages)

    async def _begin_space(self, space_id: str) -> None:
        try:
            found = as_told(await self._api.call("GET", f"/v1/spaces/{part(space_id)}"), _Space)
        except (TargetGone, Permanent):
            found = _Space()
        former = await self._cache.space(space_id)
        settings = former.settings if found.settings is None else found.settings
        version = former.version if found.version is None else found.version
        await self._cache.save_space(
            msgspec.structs.replace(former, settings=settings, version=version, is_member=True)
        )

    async def _taken(self, stream: str, events: Sequence[StreamEvent]) -> bool:
        if not events:
            return False
        me = self._api.login.user_id
        for event, message in zip(events, await self._cache.take(events, me), strict=True):
            if stream == me:
                self._on_own(event)
                await self._heed_own(event)
                self._tell(UserChanged(what=event))
            elif message is not None:
                self._tell(
                    MessageChanged(room_id=stream, kind=event.kind, message=message, actor=event.actor)
                )
            elif stream not in self._room_ids:
                space = await self._cache.space(stream)
                self._tell(SpaceChanged(kind=event.kind, space=space, body=event.body or {}))
        return any(event.kind in _ROOMS_CHANGE for event in events)

    async def _heed_own(self, event: StreamEvent) -> None:
        """Know of a space that the user has come into, or is in no more."""
        space_id = (event.body or {}).get("space")
        if event.kind in {"space.joined", "space.left"} and space_id is not None:
            space: ChatSpace = await self._cache.space(str(space_id))
            is_member = event.kind == "space.joined"
            await self._cache.save_space(msgspec.structs.replace(space, is_member=is_member))

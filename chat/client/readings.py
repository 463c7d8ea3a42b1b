"""What a user reads: from this device, with what is under way, and from the server only where a call says so."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from chat.client.cache import NO_SEQ
from chat.client.effects import OnSpace, room_with, space_with
from chat.queue import payloads

if TYPE_CHECKING:
    from chat.client.cache import Cache
    from chat.client.profiles import Profiles
    from chat.client.streams import StreamTaking
    from chat.client.under_way import UnderWay
    from chat.client.views import ChatMessage, ChatRoom, ChatSpace, StreamEvent


class Readings(ABC):
    """Shows what this device has heard of, and at once what its user does."""

    _cache: Cache
    _profiles: Profiles
    _streams: StreamTaking
    _under_way: UnderWay

    @property
    @abstractmethod
    def user_id(self) -> str:
        """Whose store this is."""

    async def rooms(self) -> list[ChatRoom]:
        """Return the rooms of all spaces that the user is in, as they were heard of last."""
        return await self._cache.rooms()

    async def refresh_rooms(self) -> None:
        """Read the rooms from the server; with live events they are kept up by themselves.

        Raises:
            DeliveryError: The server could not be asked.
        """
        await self._streams.wanted()

    async def messages(
        self, room_id: str, *, before_seq: int = NO_SEQ, limit: int = 100
    ) -> list[ChatMessage]:
        """Return the last messages of a room before a seq, in order, with what is under way; from this device alone."""
        found = await self._cache.messages(room_id, before_seq=before_seq, limit=limit)
        return room_with(found, self._under_way.actions, room_id, self.user_id)

    async def backlog(self, room_id: str, *, before_seq: int = NO_SEQ, limit: int = 100) -> list[ChatMessage]:
        """Return what `messages` does, from the server first where this device has less.

        Raises:
            DeliveryError: The server could not be asked.
        """
        if len(await self._cache.messages(room_id, before_seq=before_seq, limit=limit)) < limit:
            await self._streams.backlog(room_id, min(before_seq, 2**53), limit)
        return await self.messages(room_id, before_seq=before_seq, limit=limit)

    async def spaces(self) -> list[ChatSpace]:
        """Return the spaces that this device has heard of, those too that the user has left, with what is under way."""
        return [self._shown(each) for each in await self._cache.spaces()]

    async def space(self, space_id: str) -> ChatSpace:
        """Return a space as this device has heard of it, with what is under way."""
        return self._shown(await self._cache.space(space_id))

    def _shown(self, space: ChatSpace) -> ChatSpace:
        for action in self._under_way.actions:
            if isinstance(action.payload, OnSpace) and action.payload.space_id == space.id:
                space = space_with(space, action.payload, self.user_id)
        return space

    def profile(self) -> dict[str, Any]:
        """Return the user's profile as this device has heard of it, with what is under way."""
        shown = dict(self._profiles.current)
        for action in self._under_way.actions:
            if isinstance(action.payload, payloads.UpdateProfile):
                shown.update(action.payload.fields)
        return {name: value for name, value in shown.items() if value is not None}

    async def stream_events(
        self, stream_id: str, *, after_seq: int = 0, limit: int = 100
    ) -> list[StreamEvent]:
        """Return events of a room, a space or the user that this device has kept."""
        return await self._cache.events(stream_id, after_seq=after_seq, limit=limit)

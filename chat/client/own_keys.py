"""The keys of the user's spaces as an application has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.queue.payloads import SyncSpaceKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from chat.queue.receipts import Receipt
    from chat.sync.space_key_cache import SpaceKeyCache


class OwnKeys:
    """Space keys: kept here, and sent when they changed."""

    def __init__(self, keys: SpaceKeyCache, put: Callable[[msgspec.Struct], Receipt]) -> None:
        self._keys = keys
        self._put = put

    async def get(self, space_id: str) -> str | None:
        """Return the key of a space, None if nobody has given it one; see `SpaceKeyCache.get`."""
        return await self._keys.get(space_id)

    async def change(self, space_id: str, blob: str) -> None:
        """Give a space another key here; `sync` sends it."""
        await self._keys.change(space_id, blob)

    async def sync(self) -> Receipt | None:
        """Send the keys that changed since the last time; None if none did."""
        keys, version = await self._keys.changed()
        return self._put(SyncSpaceKeys(keys=keys, version=version)) if keys else None

    def outdated(self) -> None:
        """Another device has changed some."""
        self._keys.outdated()

"""The keys of spaces on this device: changed here, sent when they changed, read when they are needed.

What changed is known by version: a key above the last one that was sent. Keys are read into memory when first asked
for; for `FRESH_S` they are used as they are, and after that (or when another device says that some changed) the server
is asked for what is newer than the last seen. Without a connection the key that is here is as good as any.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.errors import AnswerLost, RateLimited, Transient, Unreachable

if TYPE_CHECKING:
    from chat.client.api import Api
    from chat.domain.tables import Tables
    from chat.queue.clock import QueueClock

FRESH_S: Final = 300.0
_PATH: Final = "/v1/me/space-keys"
_MAY_PASS: Final = (Unreachable, AnswerLost, Transient, RateLimited)


class SpaceKeyCache:
    """The space keys of one store."""

    def __init__(self, tables: Tables, api: Api, clock: QueueClock) -> None:
        self._tables = tables
        self._api = api
        self._clock = clock
        self._known: dict[str, str | None] = {}
        self._looked_at_ms: int | None = None

    async def get(self, space_id: str) -> str | None:
        """Return the key of a space, None if nobody has given it one.

        Raises:
            AuthExpired, Permanent: The server does not let this login ask.
        """
        if self._is_stale():
            with suppress(*_MAY_PASS):  # what is here has to do; the next one asks again
                await self.fetch()
        if space_id not in self._known:
            row = await self._tables.one("space_key", space_id)
            self._known[space_id] = None if row is None else row[0]
        return self._known[space_id]

    async def change(self, space_id: str, blob: str) -> None:
        """Give a space another key here; it is on disk when this returns."""
        await self._tables.write("change_space_key", space_id, blob)
        self._known[space_id] = blob

    async def changed(self) -> tuple[dict[str, str], int]:
        """Return the keys that changed since the last sync by space, and the highest version among them; one query."""
        row = await self._tables.one("changed_space_keys")
        return ({}, 0) if row is None else (msgspec.json.decode(row[0]), row[1])

    async def upload(self, client_id: str, keys: dict[str, str], version: int) -> Any:
        """Bring changed keys to the server.

        Raises:
            DeliveryError: As `Api.call`.
        """
        answer = await self._api.call("PUT", _PATH, {"client_id": client_id, "keys": keys})
        await self.sent(version)
        return answer

    async def sent(self, version: int) -> None:
        """Note that the server has all keys up to `version`."""
        row = await self._tables.one("number", "keys_synced")
        if row is None or row[0] < version:
            await self._tables.write("save_number", "keys_synced", version)

    async def fetch(self) -> None:
        """Take over the keys that are newer at the server than the last ones seen.

        Raises:
            DeliveryError: As `Api.call`; what came before is here.
        """
        row = await self._tables.one("number", "keys_seen")
        seen = 0 if row is None else row[0]
        while True:
            page = (await self._api.call("GET", _PATH, params={"since": str(seen)}))["keys"]
            if not page:
                break
            seen = page[-1]["version"]
            text = msgspec.json.encode(page).decode()
            await self._tables.write_all(
                [
                    ("take_space_keys", (text,)),
                    ("save_number", ("keys_seen", seen)),
                ]
            )
            self._known.clear()
        self._looked_at_ms = self._clock.boot_ms()

    def outdated(self) -> None:
        """Ask the server before the next key is used."""
        self._looked_at_ms = None

    def _is_stale(self) -> bool:
        if self._looked_at_ms is None:
            return True
        return self._clock.boot_ms() - self._looked_at_ms > 1000 * FRESH_S

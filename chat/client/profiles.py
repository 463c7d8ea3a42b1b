"""The user's own profile as this device has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chat.client.api import Api
    from chat.domain.tables import Tables

_NAME: Final = "profile"


class Profiles:
    """Keeps the profile of one store."""

    def __init__(self, tables: Tables, api: Api) -> None:
        self._tables = tables
        self._api = api
        self.current: dict[str, Any] = {}
        """As the server had it last."""

    async def load(self) -> None:
        """Read what the store has."""
        row = await self._tables.one("document", _NAME)
        if row is not None:
            self.current = msgspec.json.decode(row[0])

    async def took(self, fields: Mapping[str, Any]) -> None:
        """Note fields that the server has."""
        self.current = {**self.current, **fields}
        text = msgspec.json.encode(self.current).decode()
        await self._tables.write("save_document", _NAME, text, text, 0)

    async def fetch(self) -> None:
        """Take over what the server has.

        Raises:
            DeliveryError: As `Api.call`.
        """
        found = await self._api.call("GET", "/v1/me")
        await self.took({"display_name": found["display_name"], **found["fields"]})

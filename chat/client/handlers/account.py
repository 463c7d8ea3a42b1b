"""What is the user's own: settings, profile, space keys. Each is a call of its own, and none carries the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.errors import Permanent
from chat.sync.document import InvalidSettings, SettingsTooNew
from chat.sync.sealing import SettingsForged

if TYPE_CHECKING:
    from chat.client.api import Api
    from chat.queue.handlers import Delivery
    from chat.sync.settings_sync import SettingsSync
    from chat.sync.space_key_cache import SpaceKeyCache


class AccountHandlers:
    """Deliver what is the user's own."""

    def __init__(self, api: Api, settings: SettingsSync, keys: SpaceKeyCache) -> None:
        self._api = api
        self._settings = settings
        self._keys = keys

    async def save_settings(self, delivery: Delivery) -> Any:
        """Bring the settings that are here to the server; they hold the delivered fields, and whatever came since."""
        try:
            return await self._settings.upload(delivery.client_id)
        except (SettingsForged, SettingsTooNew, InvalidSettings) as error:
            raise Permanent(str(error), code="settings_unreadable", status=422) from error

    async def update_profile(self, delivery: Delivery) -> Any:
        """Change parts of the profile; the others are not sent."""
        body = {"client_id": delivery.client_id, "fields": delivery.payload.fields}
        return await self._api.call("PATCH", "/v1/me/profile", body)

    async def sync_keys(self, delivery: Delivery) -> Any:
        """Send the keys that changed."""
        return await self._keys.upload(delivery.client_id, delivery.payload.keys, delivery.payload.version)

"""The user's settings as an application has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import structlog

from chat.errors import DeliveryError
from chat.queue.payloads import SaveUserConfig
from chat.sync.document import InvalidSettings, SettingsTooNew
from chat.sync.sealing import SettingsForged, SettingsSeal
from storage import StorageError
from workers import WorkersError

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from chat.client.api import Api
    from chat.queue.receipts import Receipt
    from chat.sync.document import SettingsDocument
    from chat.sync.settings_sync import SettingsSync
    from workers import Bridges, SigningKey

_NOT_READ: Final = (
    DeliveryError,
    InvalidSettings,
    SettingsForged,
    SettingsTooNew,
    StorageError,
    WorkersError,
)

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class OwnSettings:
    """Settings that are saved here always, and at the server if the user allows it."""

    def __init__(
        self, sync: SettingsSync, bridges: Bridges, put: Callable[[msgspec.Struct], Receipt], api: Api
    ) -> None:
        self._sync = sync
        self._bridges = bridges
        self._put = put
        self._api = api
        self._seal: SettingsSeal | None = None
        self._outdated = anyio.Event()

    @property
    def document(self) -> SettingsDocument:
        """The settings as they are here: folders, sidebar, preferences, bookmarks."""
        return self._sync.document

    async def set(self, values: dict[str, Any]) -> Receipt | None:
        """Change fields; they are saved here when this returns, and on their way to the server if that is allowed.

        Raises:
            InvalidSettings: A value is not of its field's form; nothing was changed.
            StorageError: It could not be stored.
        """
        await self._sync.change(values)
        return self._put(SaveUserConfig(fields=values)) if self._sync.is_allowed else None

    def allow_sync(self, key: SigningKey) -> Receipt | None:
        """Let the settings leave this device from now on, sealed and signed by the user's own key.

        What differs here goes to the server at once; the receipt is that of its save.
        """
        self.forbid_sync()
        self._seal = SettingsSeal(self._bridges.crypto, self._api.login.user_id, key)
        self._sync.allow(self._seal)
        self.outdated()
        unsaved = self._sync.unsaved
        return self._put(SaveUserConfig(fields=unsaved)) if unsaved else None

    def forbid_sync(self) -> None:
        """Keep the settings here from now on; what the server has stays there."""
        self._sync.allow(None)
        self.close()

    def close(self) -> None:
        """Wipe the key."""
        if self._seal is not None:
            self._seal.__exit__(None, None, None)
            self._seal = None

    def outdated(self) -> None:
        """Look soon what the server has: another device has saved, or may have."""
        self._outdated.set()

    async def run(self) -> None:
        """Take over what other devices save, until cancelled."""
        while True:
            await self._outdated.wait()
            self._outdated = anyio.Event()
            try:
                await self._sync.fetch()
            except _NOT_READ as error:  # they are read again when they change, or with the next connection
                _log.warning("chat.settings_not_read", reason=type(error).__name__)

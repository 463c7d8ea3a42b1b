"""The user's settings here and at the server: changed here at once, brought together when there is a connection.

Here they are always saved. They leave the device only once the user has allowed it, sealed by the user's own key. No
change waits for the network: what is under way has its own copy, and what changed meanwhile goes with the next save.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.client.errors_of import VERSION_CONFLICT
from chat.client.said import as_told
from chat.errors import Conflict, TargetGone, Transient
from chat.sync import document
from chat.sync.document import SettingsDocument
from chat.sync.merge import FieldConflict, changes, merged
from chat.sync.sealing import SealedSettings, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chat.client.api import Api
    from chat.domain.tables import Tables
    from chat.queue.clock import QueueClock
    from chat.sync.sealing import SettingsSeal

_PATH: Final = "/v1/me/settings"
_NAME: Final = "settings"
_TRIES: Final = 5


class SettingsSync:
    """The settings of one store."""

    def __init__(self, tables: Tables, api: Api, clock: QueueClock) -> None:
        self._tables = tables
        self._api = api
        self._clock = clock
        self._seal: SettingsSeal | None = None
        self._base = SettingsDocument()
        self._version = 0
        self.document = SettingsDocument()
        """As they are here."""

    async def load(self) -> None:
        """Read what the store has."""
        row = await self._tables.one("document", _NAME)
        if row is not None:
            self.document, self._base = document.read(row[0].encode()), document.read(row[1].encode())
            self._version = row[2]

    @property
    def is_allowed(self) -> bool:
        """Whether the settings may leave this device."""
        return self._seal is not None

    @property
    def unsaved(self) -> dict[str, Any]:
        """What was changed here and is not at the server."""
        return changes(self._base, self.document)

    def allow(self, seal: SettingsSeal | None) -> None:
        """Let the settings leave this device, sealed by `seal`; None keeps them here from now on."""
        self._seal = seal

    async def change(self, values: Mapping[str, Any]) -> SettingsDocument:
        """Change fields here; it is on disk when this returns, whatever the network does.

        Raises:
            InvalidSettings: A value is not of its field's form; nothing was changed.
            StorageError: It could not be stored.
        """
        changed = self.document.with_changes(values, self._clock.wall_ms())
        document.written(changed)
        self.document = changed
        await self._save()
        return changed

    async def upload(self, client_id: str) -> dict[str, Any]:
        """Bring what is here to the server, merged with what came there meanwhile, and return what was done.

        Each base version is an action of its own at the server: tried again from the same one, it is the same.

        Raises:
            DeliveryError: As `Api.call`.
            SettingsForged, SettingsTooNew: What is there must not be merged with.
        """
        seal = self._seal
        if seal is None:
            return {"is_synced": False}
        await self._register(seal, client_id)
        conflicts: list[FieldConflict] = []
        for _ in range(_TRIES):
            mine, version = self.document, self._version
            sealed = await seal.sealed(mine, version + 1)
            body = {"client_id": f"{client_id}/{version}", **msgspec.to_builtins(sealed)}
            try:
                answer = await self._api.call("PUT", _PATH, body, headers={"if-match": f'"{version}"'})
            except Conflict as error:
                if error.code != VERSION_CONFLICT:
                    raise
                conflicts += await self._take(seal, error.details.get("current"))
                continue
            if answer["duplicate"]:  # it is an earlier state of these settings that was saved
                conflicts += await self.fetch()
            else:
                self._base, self._version = mine, answer["version"]
                await self._save()
            return {
                "is_synced": True,
                "version": answer["version"],
                "conflicts": msgspec.to_builtins(conflicts),
            }
        raise Transient("the settings were changed elsewhere each time they were to be saved")

    async def fetch(self) -> list[FieldConflict]:
        """Take over what is at the server, if anything is, and return the fields that were changed on both sides.

        Raises:
            DeliveryError, SettingsForged, SettingsTooNew: As `upload`.
        """
        if self._seal is None:
            return []
        try:
            current = await self._api.call("GET", _PATH)
        except TargetGone:
            return []
        return await self._take(self._seal, current)

    async def _take(self, seal: SettingsSeal, current: Any) -> list[FieldConflict]:
        if current is None:
            self._base, self._version = SettingsDocument(), 0
            return []
        sealed = as_told(current, SealedSettings)
        theirs = await seal.opened(sealed)
        if sealed.version <= self._version:
            return []
        found = merged(self._base, self.document, theirs)
        self.document, self._base, self._version = found.document, theirs, sealed.version
        await self._save()
        return list(found.conflicts)

    async def _register(self, seal: SettingsSeal, client_id: str) -> None:
        """Tell the server the public key, once: one that the user has unregistered since is not brought back."""
        name = f"registered {seal.public_key.hex()}"
        if await self._tables.one("number", name) is None:
            body = {
                "client_id": f"{client_id}-key",
                "algorithm": seal.algorithm,
                "public_key": as_text(seal.public_key),
            }
            await self._api.call("POST", "/v1/me/signing-keys", body)
            await self._tables.write("save_number", name, 1)

    async def _save(self) -> None:
        mine, base = document.written(self.document).decode(), document.written(self._base).decode()
        await self._tables.write("save_document", _NAME, mine, base, self._version)

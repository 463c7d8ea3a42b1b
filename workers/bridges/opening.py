"""Opens and closes bridges together; each starts its workers when first asked for something."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast, get_args

import anyio
from anyio.lowlevel import RunVar

from workers.bridges.base import Bridge, How
from workers.bridges.own import ServiceBridge, requested
from workers.bridges.settings import BridgeSettings
from workers.errors import PoolClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from anyio.abc import TaskGroup

    from workers.answers import Answer
    from workers.bridges.book import BridgeStatistics
    from workers.bridges.compression import CompressionBridge
    from workers.bridges.crypto import CryptoBridge
    from workers.bridges.files import FilesBridge
    from workers.bridges.network import NetworkBridge
    from workers.bridges.settings import Placement

_FACES = {
    "crypto": "workers.bridges.crypto:CryptoBridge",
    "files": "workers.bridges.files:FilesBridge",
    "network": "workers.bridges.network:NetworkBridge",
    "compression": "workers.bridges.compression:CompressionBridge",
}

Channel = Literal["crypto", "file", "network", "compression", "custom"]
R = TypeVar("R")

_open: RunVar[set[Bridges]] = RunVar("workers_open_bridges")


class Bridges:
    """The bridges of one `open_bridges`: one a kind, made when first used."""

    def __init__(self, group: TaskGroup, settings: BridgeSettings) -> None:
        self._group = group
        self._settings = settings
        self._made: dict[str, Bridge] = {}
        self._closed = False

    @property
    def crypto(self) -> CryptoBridge:
        """Encryption, hashes, key derivation, signatures."""
        return cast("CryptoBridge", self._face("crypto"))

    @property
    def files(self) -> FilesBridge:
        """Hashes, parts, types and metadata of files."""
        return cast("FilesBridge", self._face("files"))

    @property
    def network(self) -> NetworkBridge:
        """Whether the network is there, and how good it is."""
        return cast("NetworkBridge", self._face("network"))

    @property
    def compression(self) -> CompressionBridge:
        """Compression with limits."""
        return cast("CompressionBridge", self._face("compression"))

    def service(
        self,
        service: str,
        *,
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
        placements: Mapping[str, Placement] | None = None,
    ) -> ServiceBridge:
        """Return the bridge to an own `MethodService`, named as `module:Class`; the same again for the same name.

        Without `placements` its methods run in a thread, or in the kind that the settings name.

        Raises:
            ValueError: The name is that of a bridge of the library, or of one to another service.
        """
        key = name or service
        if key in _FACES:
            raise ValueError(f"{key!r} is the name of a bridge that comes with the library")
        bridge = self._made.get(key)
        if bridge is None:
            self._refuse_when_closed(key)
            bridge = ServiceBridge(
                self._group,
                self._settings,
                service=service,
                name=key,
                options=options or {},
                placements=placements or {},
            )
            self._made[key] = bridge
        if not isinstance(bridge, ServiceBridge) or bridge.service != service:
            raise ValueError(f"the bridge {key!r} is one to {bridge.service}")
        return bridge

    async def request(
        self, channel: Channel, method: str, params: Any, result: type[R], **how: Unpack[How]
    ) -> Answer[R]:
        """Have the service behind `channel` run one of its typed methods by name; close the answer.

        Without further word it has 30 s, waits as long for its turn, is tried again up to three times if the method
        is idempotent and its worker dies, and then once in this process. What such a try can raise is at
        `Pool.request`; beside it `PoolSaturated` when 100 requests are out, and `TaskCancelled` when it is aborted.

        Raises:
            ValueError: There is no such channel, or `custom` has no service; name one in the settings.
            ServiceUnavailable: There is no such service.
        """
        if channel not in get_args(Channel):
            raise ValueError(f"there is no channel {channel!r}; there are {', '.join(get_args(Channel))}")
        if channel == "custom":
            if self._settings.custom_service is None:
                raise ValueError("the channel custom has no service; set custom_service")
            bridge: Bridge = self.service(self._settings.custom_service, name="custom")
        else:
            bridge = self._face("files" if channel == "file" else channel)
        return await requested(bridge, self._settings, method, params, result, **how)

    def abort_all(self) -> int:
        """End all requests of all bridges with `TaskCancelled` for their callers, and return how many there were."""
        return sum(bridge.abort_all() for bridge in self._made.values())

    def stats(self) -> tuple[BridgeStatistics, ...]:
        """Return each bridge that was used as it stands."""
        return tuple(bridge.stats() for bridge in self._made.values())

    async def close(self) -> None:
        """Close all bridges, side by side; calling again does nothing."""
        self._closed = True
        async with anyio.create_task_group() as group:
            for bridge in self._made.values():
                group.start_soon(bridge.close)

    def _refuse_when_closed(self, name: str) -> None:
        if self._closed:
            raise PoolClosed(f"the bridges are closed, and {name} was not open")

    def _face(self, name: str) -> Bridge:
        bridge = self._made.get(name)
        if bridge is None:
            self._refuse_when_closed(name)
            module, _, kind = _FACES[name].partition(":")
            bridge = self._made[name] = getattr(import_module(module), kind)(self._group, self._settings)
        return bridge


@asynccontextmanager
async def open_bridges(settings: BridgeSettings | None = None) -> AsyncIterator[Bridges]:
    """Give access to the bridges; on leaving, requests under way get `drain_s` seconds and no worker is left."""
    failure: BaseException | None = None
    async with anyio.create_task_group() as group:
        bridges = Bridges(group, settings or BridgeSettings())
        everyone = _open.get(None) or set()
        everyone.add(bridges)
        _open.set(everyone)
        try:
            yield bridges
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
            failure = error
        with anyio.CancelScope(shield=True):
            await bridges.close()
        everyone.discard(bridges)
    if failure is not None:
        raise failure


async def close_all() -> None:
    """Close all bridges that are open on this event loop."""
    for bridges in list(_open.get(None) or ()):
        await bridges.close()

"""The bridge to a user's own service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import anyio.to_thread

from workers.backends.building import found_service
from workers.bridges.base import Bridge, How
from workers.errors import ServiceUnavailable
from workers.methods import MethodService

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.abc import TaskGroup

    from workers.answers import Answer
    from workers.bridges.settings import BridgeSettings, Placement

R = TypeVar("R")

RETRIES_COUNT = 3
"""For requests of idempotent methods that name none."""

_idempotent: dict[str, frozenset[str]] = {}
"""By service: what its class says, which does not change; it is imported off the loop, once."""


class ServiceBridge(Bridge):
    """Calls any typed method by name; made by `Bridges.service`."""

    def __init__(
        self,
        group: TaskGroup,
        settings: BridgeSettings,
        *,
        service: str,
        name: str,
        options: Mapping[str, Any],
        placements: Mapping[str, Placement],
    ) -> None:
        self.name, self.service, self.placements = name, service, placements
        super().__init__(group, settings)
        self._options.update(options)

    async def request(self, method: str, params: Any, result: type[R], **how: Unpack[How]) -> Answer[R]:
        """Have the service run `method`; close the answer. See `Bridges.request`."""
        return await requested(self, self._settings, method, params, result, **how)


async def requested(
    bridge: Bridge, settings: BridgeSettings, method: str, params: Any, result: type[R], **how: Unpack[How]
) -> Answer[R]:
    """Send a request by name, with the defaults of one whose caller knows the protocol and not the bridge."""
    if "idempotent" not in how:
        if bridge.service not in _idempotent:
            _idempotent[bridge.service] = await anyio.to_thread.run_sync(_idempotent_methods, bridge.service)
        how["idempotent"] = method in _idempotent[bridge.service]
    if how["idempotent"]:
        how.setdefault("retries_count", RETRIES_COUNT)
    if how.get("timeout_s") is None:
        how["timeout_s"] = settings.request_timeout_s
    return await bridge._answer(method, params, result, **how)  # noqa: SLF001 - private to this package


def _idempotent_methods(service: str) -> frozenset[str]:
    try:
        found = found_service(service)
    except Exception as error:  # the border: a module may raise anything while it is imported
        raise ServiceUnavailable(f"{service} can't be imported: {type(error).__name__}") from error
    if not isinstance(found, type) or not issubclass(found, MethodService):
        raise ServiceUnavailable(f"{service} is no MethodService")
    return frozenset(name for name, is_so in found.method_names().items() if is_so)

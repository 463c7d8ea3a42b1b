"""The bridge to a user's own service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from workers.bridges.base import Bridge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anyio.abc import TaskGroup

    from workers.answers import Answer
    from workers.bridges.base import BridgeSettings, Placement
    from workers.buffers import Input
    from workers.pool import OnProgress

R = TypeVar("R")


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
        self._options = dict(options)

    async def request(
        self,
        method: str,
        params: Any,
        result: type[R],
        *,
        buffers: Sequence[Input] = (),
        size_bytes: int = 0,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
        idempotent: bool = False,
    ) -> Answer[R]:
        """Have the service run `method`; see `Bridge._request` for what can go wrong, and close the answer."""
        return await self._answer(
            method,
            params,
            result,
            buffers=buffers,
            size_bytes=size_bytes,
            timeout_s=timeout_s,
            on_progress=on_progress,
            idempotent=idempotent,
        )

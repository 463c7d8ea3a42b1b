"""The workers of all that the server stores, as one: told about together, turned on and off together.

There are three storages, each with pools of its own: the databases, the chat and the tokens. Turned off, SQL of all
three runs on the event loop, as with `USE_SQLITE_WORKERS=0`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio
import structlog

from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import StorageStatistics

_log = structlog.get_logger(__name__)


class Stored(Protocol):
    """A storage, or a database of one."""

    async def use_workers(self, use_workers: bool) -> None:
        """See `storage.Databases.use_workers`."""

    def statistics(self) -> StorageStatistics:
        """Return how its workers stand."""


class WorkerControl:
    """The workers of a server, by what they store."""

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self._stored = dict(stored)
        self._turn = anyio.Lock()

    def statistics(self) -> dict[str, StorageStatistics]:
        """Return how they stand."""
        return {name: each.statistics() for name, each in self._stored.items()}

    async def use(self, use_workers: bool) -> None:
        """Turn all of them on or off; a caller who leaves meanwhile changes nothing about it.

        Raises:
            StorageError: Some could not be changed; those that were are as before, as far as that was possible.
        """
        with anyio.CancelScope(shield=True):  # half of it would be worse, and each step has its bound
            async with self._turn:
                await self._change(use_workers)

    async def _change(self, use_workers: bool) -> None:
        changed: list[tuple[str, Stored]] = []
        try:
            for name, each in self._stored.items():
                if each.statistics().use_workers != use_workers:
                    await each.use_workers(use_workers)
                    changed.append((name, each))
        except StorageError:
            for name, each in reversed(changed):
                try:
                    await each.use_workers(not use_workers)
                except StorageError as error:
                    _log.error("workers.left_changed", storage=name, reason=str(error))
            raise

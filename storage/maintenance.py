"""What nobody waits for in a hurry: copies and checks of whole files, few at a time, each in a worker of its own.

Exports and the building of indexes have workers of their own too, those of the pools' maintenance lane.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from storage.errors import StorageSaturated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_WAITING_COUNT = 16
_RETRY_AFTER_S = 5.0


class MaintenanceLane:
    """Lets so many copies and checks run at once; a bounded number of others waits."""

    def __init__(self, count: int) -> None:
        self._limiter = anyio.CapacityLimiter(count)

    @property
    def running_count(self) -> int:
        """How many run."""
        return self._limiter.borrowed_tokens

    @property
    def waiting_count(self) -> int:
        """How many wait."""
        return self._limiter.statistics().tasks_waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and have it while this is entered.

        Raises:
            StorageSaturated: As many wait as may.
        """
        if self.waiting_count >= MAX_WAITING_COUNT:
            raise StorageSaturated(
                f"{self.waiting_count} backups and checks wait already", retry_after_s=_RETRY_AFTER_S
            )
        async with self._limiter:
            yield

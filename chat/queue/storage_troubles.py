"""Which of storage's troubles may pass, and how patiently the queue waits for that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import anyio
import structlog

from storage import (
    QueryTimedOut,
    StorageBusy,
    StorageFull,
    StorageSaturated,
    StorageUnavailable,
    WriteOutcomeUnknown,
    WriteTimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

MAY_PASS = (
    QueryTimedOut,
    StorageBusy,
    StorageFull,
    StorageSaturated,
    StorageUnavailable,
    WriteOutcomeUnknown,
    WriteTimedOut,
)
"""After these the same call is made again: what the queue writes may be written twice without harm."""

_FIRST_S = 0.05
_MOST_S = 2.0

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Patience:
    """Waits longer each time, and says so; altogether about `limit_s`, if there is one."""

    def __init__(self, limit_s: float = math.inf) -> None:
        self._wait_s = _FIRST_S
        self._left_s = limit_s

    @property
    def is_over(self) -> bool:
        """It has waited for as long as it may."""
        return self._left_s <= 0

    async def wait(self, event: str, error: Exception) -> None:
        """Log `event` and wait."""
        _log.warning(event, error=str(error), reason=type(error).__name__, wait_s=self._wait_s)
        await anyio.sleep(self._wait_s)
        self._left_s -= self._wait_s
        self._wait_s = min(2 * self._wait_s, _MOST_S)


async def read_patiently(read: Callable[[], Awaitable[T]], event: str) -> T:
    """Return what `read` does, however long the file is busy; `event` is logged each time that it is.

    Raises:
        StorageError: What will not pass by itself.
    """
    patience = Patience()
    while True:
        try:
            return await read()
        except MAY_PASS as error:
            await patience.wait(event, error)

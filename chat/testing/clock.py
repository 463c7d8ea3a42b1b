"""Time that a test moves by hand."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from chat.queue.clock import Wake


class ManualClock:
    """The queue's clocks, moved by hand; both start at an hour."""

    def __init__(self, boot_id: str = "boot 1") -> None:
        self.boot_id = boot_id
        self._wall_ms = 1_700_000_000_000
        self._boot_ms = 3_600_000
        self._waiting: list[tuple[int, int, Wake]] = []
        self._numbers = count()

    def wall_ms(self) -> int:
        """See `QueueClock`."""
        return self._wall_ms

    def boot_ms(self) -> int:
        """See `QueueClock`."""
        return self._boot_ms

    def advance(self, seconds: float) -> None:
        """Let time go by, on both clocks."""
        self._wall_ms += int(1000 * seconds)
        self._boot_ms += int(1000 * seconds)
        while self._waiting and self._waiting[0][0] <= self._boot_ms:
            heapq.heappop(self._waiting)[2].set()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back; boot time does not notice."""
        self._wall_ms += int(1000 * seconds)

    async def wait(self, wake: Wake, until_ms: int | None) -> None:
        """See `QueueClock`."""
        if until_ms is not None:
            if until_ms <= self._boot_ms:
                await checkpoint()
                return
            heapq.heappush(self._waiting, (until_ms, next(self._numbers), wake))
        await wake.wait()

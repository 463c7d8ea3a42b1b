"""What the chat does for itself now and then: it lets go of what nobody can ask for any more.

The messages of a deleted space lose what they said, some at a time, so that no send waits behind it; broken off, it is
gone on with later. The orders of devices that have not sent for long are forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import structlog

from storage import StorageError

if TYPE_CHECKING:
    from chat.domain.limits import ChatLimits
    from chat.domain.tables import Tables
    from workers import Clock

PAUSE_S: Final = 600.0
"""Between two rounds."""
_STEP_COUNT: Final = 500

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Upkeep:
    """Does a round after each pause."""

    def __init__(self, tables: Tables, limits: ChatLimits, clock: Clock) -> None:
        self._tables = tables
        self._limits = limits
        self._clock = clock
        self._closed = anyio.Event()

    def close(self) -> None:
        """Let `run` end."""
        self._closed.set()

    async def run(self) -> None:
        """Do rounds until it is closed; the first one after a pause."""
        while True:
            with anyio.move_on_after(PAUSE_S):
                await self._closed.wait()
            if self._closed.is_set():
                return
            try:
                await self.do_round()
            except StorageError as error:
                _log.warning("chat.upkeep_failed", reason=type(error).__name__)

    async def do_round(self) -> None:
        """Forget old orders, and take away what was written in deleted spaces.

        Raises:
            StorageError: As `Database.execute`; the next round goes on.
        """
        now_ms = int(self._clock.now() * 1000)
        await self._tables.write("forget_orders", now_ms - int(self._limits.max_order_age_s * 1000))
        while not self._closed.is_set():
            space = await self._tables.one("space_to_purge")
            if space is None:
                return
            for room_id, last_seq in await self._tables.all("rooms_to_purge", space[0]):
                await self._purge(room_id, last_seq, now_ms)
            if not self._closed.is_set():
                await self._tables.write("purged", space[0], now_ms)

    async def _purge(self, room_id: int, last_seq: int, now_ms: int) -> None:
        await self._tables.write("purge_pins", room_id)
        for after in range(0, last_seq, _STEP_COUNT):
            if self._closed.is_set():
                return
            part = (room_id, after, after + _STEP_COUNT)
            await self._tables.write_all([("purge_reactions", part), ("purge_messages", (*part, now_ms))])

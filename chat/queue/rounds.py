"""What one process does once in a while for the whole queue: look for the dead, clear away, seal anew, tell who waits.

Any process may do it, and each does; what one has done, the next one finds done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from chat.queue.clock import Wake
from chat.queue.housekeeping import Housekeeping
from chat.queue.storage_troubles import MAY_PASS
from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chat.queue.clock import QueueClock
    from chat.queue.peers import Peers
    from chat.queue.receipts import Ends
    from chat.queue.resealing import Resealing
    from chat.queue.runner import Runner
    from chat.queue.settings import QueueSettings
    from chat.queue.tables import Tables

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Rounds:
    """The rounds of one process; `run` is their task."""

    def __init__(
        self,
        tables: Tables,
        *,
        settings: QueueSettings,
        clock: QueueClock,
        peers: Peers,
        resealing: Resealing,
        runner: Runner,
        ends: Ends,
        look_up: Callable[[Sequence[str]], Awaitable[None]],
        on_pruned: Callable[[], None],
    ) -> None:
        self.housekeeping = Housekeeping(tables, settings, clock)
        self._tables = tables
        self._settings = settings
        self._clock = clock
        self._peers = peers
        self._resealing = resealing
        self._runner = runner
        self._ends = ends
        self._look_up = look_up
        self._on_pruned = on_pruned
        self._tick = Wake()
        self._room_ms = 0

    def stir(self) -> None:
        """Look now whether what somebody waits for has come."""
        self._tick.set()

    async def make_room(self) -> None:
        """The queue is full: clear away what has become pointless, unless that was just done."""
        now_ms = self._clock.boot_ms()
        if now_ms < self._room_ms:
            return
        self._room_ms = now_ms + int(1000 * self._settings.tick_s)
        try:
            await self.housekeeping.prune()
        except StorageError as error:
            _log.warning("chat.pruning_failed", error=str(error))

    async def run(self) -> None:
        """Do what has to be done each tick, and after a hint."""
        settings, clock = self._settings, self._clock
        began_ms = clock.boot_ms()
        prune_ms = began_ms + int(1000 * settings.prune_every_s)
        look_ms = began_ms
        while True:
            now_ms = clock.boot_ms()
            self._tick.clear()
            try:
                if now_ms >= look_ms:
                    look_ms = now_ms + int(1000 * settings.tick_s)
                    await self._look_around()
                if now_ms >= prune_ms:
                    prune_ms = now_ms + int(1000 * settings.prune_every_s)
                    await self._resealing.run()
                    if await self.housekeeping.prune():
                        self._on_pruned()
                    if now_ms - began_ms >= int(1000 * settings.handler_wait_s):
                        await self._find_forgotten(now_ms)
                waited_for = self._ends.open_ids()
                if waited_for:
                    await self._look_up(waited_for)
            except MAY_PASS as error:
                _log.info("chat.housekeeping_delayed", error=str(error))
            await clock.wait(self._tick, look_ms)

    async def _look_around(self) -> None:
        await self._peers.look_around()
        owners = [row[0] for row in await self._tables.read("owners")]
        dead = self._peers.dead(owners)
        if dead:
            count = await self.housekeeping.take_over(dead)
            _log.warning("chat.claims_of_the_dead_ended", process_count=len(dead), lane_count=count)
            await self._peers.bury(dead)
            self._runner.look()

    async def _find_forgotten(self, now_ms: int) -> None:
        limit_ms = now_ms - int(1000 * self._settings.handler_wait_s)
        rows: list[tuple[Any, ...]] = await self._tables.read("forgotten_topics", (limit_ms,))
        if rows:
            self._runner.forget(tuple((row[0], row[1]) for row in rows))

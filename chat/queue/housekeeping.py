"""What has to be cleared away: old actions, empty lanes, seen events, claims of the dead, waits of another boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from chat.queue.states import FINAL
from chat.queue.storage_troubles import MAY_PASS
from chat.queue.tables import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.queue.clock import QueueClock
    from chat.queue.settings import QueueSettings
    from chat.queue.tables import Tables

_MOST_ROUNDS = 20
"""The rest waits for the next time: nobody is to wait for this."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Housekeeping:
    """Keeps the file of one queue small; any process may do it."""

    def __init__(self, tables: Tables, settings: QueueSettings, clock: QueueClock) -> None:
        self._tables = tables
        self._settings = settings
        self._clock = clock

    async def note_boot(self) -> None:
        """After a restart of the machine make due whatever waited in its boot time; else do nothing."""
        boot_id = self._clock.boot_id
        ((noted_id,),) = await self._tables.read("boot_id")
        if noted_id == boot_id:
            return
        await self._tables.write_all(
            [
                ("boot_lanes", (boot_id,)),
                ("boot_actions", (boot_id, self._clock.boot_ms(), self._clock.wall_ms())),
                ("boot", (boot_id,)),
            ]
        )

    async def take_over(self, dead_owners: Sequence[str]) -> int:
        """Let the claims of processes that are gone lapse now; return how many they were."""
        done = await self._tables.write("take_over", (json_text(list(dead_owners)), self._clock.boot_ms()))
        return len(done.rows)

    async def prune(self) -> int:
        """Take away what is of no use any more, and return how many rows that were."""
        settings, at_ms = self._settings, self._clock.wall_ms()
        done_before = at_ms - int(1000 * settings.keep_done_s)
        failed_before = at_ms - int(1000 * settings.keep_failed_s)
        count = 0
        for name, params in (
            ("expire", (at_ms,)),
            ("prune_done", (done_before,)),
            ("prune_failed", (failed_before,)),
            *(("prune_surplus", (settings.max_finished_count, state)) for state in sorted(FINAL)),
            ("prune_cursors", (failed_before,)),
            ("prune_events", (settings.max_event_count, done_before)),
            ("prune_lanes", ()),
        ):
            for _ in range(_MOST_ROUNDS):
                try:
                    changes = (await self._tables.write(name, params)).changes
                except MAY_PASS as error:
                    _log.info("chat.pruning_delayed", error=str(error))
                    return count
                count += changes
                if not changes:
                    break
        return count

"""Looks now and then whether workers answer, how much memory they have, and which are idle.

A process answers a ping from its control thread, also while a call runs; one that does not within `ping_limit_s` is
stopped or stuck beyond help, and killed. A thread is healthy while it is alive: a call that takes too long is the
watch's business.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import structlog

if TYPE_CHECKING:
    from workers.dispatcher import Dispatcher
    from workers.settings import PoolSettings
    from workers.slots import Slot

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")


class Health:
    """The slow look at one pool; the quick one, while calls are out, is `Watch`."""

    def __init__(self, dispatcher: Dispatcher, settings: PoolSettings, *, name: str) -> None:
        self._dispatcher = dispatcher
        self._settings = settings
        self._name = name

    async def look(self) -> None:
        """Look every so often; runs for ever."""
        settings = self._settings
        period_s = min(settings.ping_every_s, settings.ping_limit_s, settings.idle_after_s) / 2
        while True:
            await anyio.sleep(period_s)
            now = time.monotonic()
            for slot in self._dispatcher.slots:
                if slot.worker is not None and not slot.stop_stage:
                    self._check_pulse(slot, now)
                    self._check_size(slot)
            self._check_idle(now)

    async def ping(self, limit_s: float) -> tuple[float, ...]:
        """Ping all workers at once and return the seconds until each answered.

        Raises:
            TimeoutError: One did not answer within `limit_s`.
        """
        began = time.monotonic()
        pinged = [slot for slot in self._dispatcher.slots if slot.worker is not None]
        for slot in pinged:
            slot.ponged = anyio.Event()
            if slot.worker is not None:
                slot.worker.ping()
        with anyio.fail_after(limit_s):
            for slot in pinged:
                await slot.ponged.wait()
        return tuple(slot.ponged_at - began for slot in pinged)

    def _check_pulse(self, slot: Slot, now: float) -> None:
        worker = slot.worker
        if worker is None:
            return
        if slot.pinged_at:
            if now - slot.pinged_at > self._settings.ping_limit_s:
                self._dispatcher.ledger.tally.unheard_count += 1
                _log.warning(
                    "workers.ping_unheard", pool=self._name, worker=slot.index, waited_s=now - slot.pinged_at
                )
                slot.pinged_at = 0.0
                slot.stop_stage, slot.stop_at = 2, now
                worker.kill()
        elif now - slot.ponged_at >= self._settings.ping_every_s:
            slot.pinged_at = now
            worker.ping()

    def _check_size(self, slot: Slot) -> None:
        limit_bytes = self._settings.recycle_above_bytes
        if limit_bytes is not None and slot.resident_bytes > limit_bytes:
            slot.resident_bytes = 0
            slot.ask("refresh")

    def _check_idle(self, now: float) -> None:
        awake = [slot for slot in self._dispatcher.slots if slot.worker is not None]
        surplus_count = sum(not slot.is_maintenance for slot in awake) - self._settings.awake_count
        for slot in reversed(awake):
            if slot.in_flight or slot.next_seq != slot.seq_seen:
                slot.seq_seen, slot.idle_since = slot.next_seq, now
            elif (slot.is_maintenance or surplus_count > 0) and (
                now - slot.idle_since >= self._settings.idle_after_s
            ):
                surplus_count -= not slot.is_maintenance
                slot.ask("retire")

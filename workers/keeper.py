"""Keeps a pool's slots filled: starts workers, replaces those that die, refreshes old ones, retires idle ones.

Each slot has one task here, which acts on the slot's `need`. A worker is started outside any slot and then put into
one, so a successor is ready before its predecessor goes, and a spare (a process that is started already) takes a dead
one's place at once instead of in the 100 ms that a start takes.

Deaths in a row delay the next start (0.1 s, doubling), and so do too many restarts within `restart_window_s`.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import anyio
import structlog

from workers.errors import ServiceUnavailable

if TYPE_CHECKING:
    from workers.dispatcher import Dispatcher
    from workers.settings import PoolSettings
    from workers.slot_events import SlotEvents
    from workers.slots import Slot
    from workers.worker import Backend, Worker

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

FIRST_DELAY_S = 0.05
_DIED_EARLY = "died before its first call"


def restart_delay_s(failures_count: int, cap_s: float) -> float:
    """Return how long to wait before a worker is started anew: at once, then 0.1 s, doubling up to `cap_s`."""
    if failures_count <= 0:
        return 0.0
    return min(FIRST_DELAY_S * 2.0 ** min(failures_count, 32), cap_s)


def pause_s(restarts: deque[float], now: float, *, max_count: int, window_s: float) -> float:
    """Return how long to wait so that no more than `max_count` restarts are within `window_s`; forget older ones."""
    while restarts and restarts[0] <= now - window_s:
        restarts.popleft()
    return restarts[0] + window_s - now if len(restarts) >= max_count else 0.0


class Keeper:
    """Sees that every slot that should have a worker has one."""

    def __init__(
        self, dispatcher: Dispatcher, backend: Backend, settings: PoolSettings, *, name: str
    ) -> None:
        self._dispatcher = dispatcher
        self._backend = backend
        self._settings = settings
        self._name = name
        self._restarts: deque[float] = deque()
        self._spares: list[tuple[Worker, SlotEvents]] = []
        self._spare_taken = anyio.Event()
        self._started_count = 0

    @property
    def spares_count(self) -> int:
        """The number of workers that wait for a place and live."""
        return sum(not events.has_died for _, events in self._spares)

    async def start_all(self) -> None:
        """Start the first worker of each slot, side by side; what started before an error is left to `stop_all`.

        Raises:
            OSError: This kind can't run here.
            ServiceUnavailable: The service could not be built.
        """
        errors: list[Exception] = []

        async def start(slot: Slot) -> None:
            try:
                self._install(slot, *await self._started())
            except (OSError, ServiceUnavailable) as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            for slot in self._dispatcher.slots:
                if slot.index < self._settings.awake_count:
                    group.start_soon(start, slot)
                else:
                    self._dispatcher.rest(slot)
        if errors:
            raise errors[0]

    async def stop_all(self, limit_s: float) -> None:
        """See every worker end, within `limit_s` or by force."""
        async with anyio.create_task_group() as group:
            spares, self._spares = self._spares, []
            for worker, _ in spares:
                group.start_soon(worker.stop, limit_s)
            for slot in self._dispatcher.slots:
                old, slot.worker = slot.worker, None
                if old is not None:
                    group.start_soon(old.stop, limit_s)

    async def keep(self, slot: Slot) -> None:
        """Do what `slot` needs whenever it does; runs for ever."""
        failures_count = 0
        while True:
            await slot.calls.wait()
            slot.calls = anyio.Event()
            need, slot.need = slot.need, ""
            if need == "replace":
                failures_count = (
                    failures_count + 1 if self._dispatcher.ledger.tally.deaths_in_a_row_count else 0
                )
                _log.warning(
                    "workers.worker_died", pool=self._name, worker=slot.index, reason=slot.death_reason
                )
                await self._replace(slot, failures_count)
            elif need == "wake" and slot.worker is None:
                slot.is_starting = True
                await self._replace(slot, 0)
                slot.is_starting = False
            elif need == "refresh":
                await self._refresh(slot)
            elif need == "retire":
                await self._retire(slot)

    async def keep_spares(self) -> None:
        """Have as many workers in reserve as the settings say; runs for ever."""
        failures_count = 0
        while True:
            while len(self._spares) < self._settings.spare_count:
                await anyio.sleep(restart_delay_s(failures_count, self._settings.max_restart_delay_s))
                try:
                    self._spares.append(await self._started())
                    failures_count = 0
                except (OSError, ServiceUnavailable) as error:
                    failures_count += 1
                    _log.warning("workers.start_failed", pool=self._name, worker="spare", reason=str(error))
            await self._spare_taken.wait()
            self._spare_taken = anyio.Event()

    async def _replace(self, slot: Slot, failures_count: int) -> None:
        """Start a worker for a slot that has none, however often that takes."""
        settings, tally = self._settings, self._dispatcher.ledger.tally
        is_restart = not slot.is_dormant
        while slot.worker is None:
            now = time.monotonic()
            too_many_s = pause_s(
                self._restarts, now, max_count=settings.max_restarts_count, window_s=settings.restart_window_s
            )
            if too_many_s:
                tally.deaths_in_a_row_count = max(tally.deaths_in_a_row_count, settings.breaker_count)
                _log.error("workers.restarts_paused", pool=self._name, pause_s=round(too_many_s, 3))
            await anyio.sleep(max(too_many_s, restart_delay_s(failures_count, settings.max_restart_delay_s)))
            if is_restart:
                self._restarts.append(time.monotonic())
            try:
                self._install(slot, *await self._spare_or_started())
                tally.restarts_count += is_restart
            except (OSError, ServiceUnavailable) as error:
                failures_count += 1
                tally.deaths_in_a_row_count += 1
                _log.warning("workers.start_failed", pool=self._name, worker=slot.index, reason=str(error))

    async def _refresh(self, slot: Slot) -> None:
        """Put a new worker in the place of one that has done enough, between two of its calls."""
        if slot.session_count:  # its service keeps something for them
            self._dispatcher.plan_refresh(slot)
            return
        try:
            worker, events = await self._spare_or_started()
        except (OSError, ServiceUnavailable) as error:
            _log.warning("workers.start_failed", pool=self._name, worker=slot.index, reason=str(error))
            self._dispatcher.plan_refresh(slot)  # it serves on, and is looked at again later
            return
        slot.is_draining = True
        try:
            if slot.in_flight and slot.worker is not None:
                slot.drained = anyio.Event()
                await slot.drained.wait()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await worker.stop(self._settings.terminate_grace_s)
            raise
        finally:
            slot.is_draining = False
        old = slot.worker
        if events.has_died:
            _log.warning("workers.start_failed", pool=self._name, worker=slot.index, reason=_DIED_EARLY)
            if old is not None:
                self._dispatcher.plan_refresh(slot)
                self._dispatcher.pump_soon()  # what came meanwhile waits for the old one again
            return  # and if the old one died too, its death is what the slot needs help with next
        if old is None:
            slot.need = ""  # it died meanwhile: this is its replacement
        else:
            self._dispatcher.ledger.tally.recycled_count += 1
        self._install(slot, worker, events)
        if old is not None:
            await self._let_go(old)

    async def _retire(self, slot: Slot) -> None:
        worker = slot.worker
        if worker is None or slot.in_flight or slot.pinned or slot.session_count:
            return
        self._dispatcher.rest(slot)
        self._dispatcher.ledger.tally.retired_count += 1
        _log.debug("workers.worker_retired", pool=self._name, worker=slot.index)
        await self._let_go(worker)

    async def _let_go(self, worker: Worker) -> None:
        with anyio.CancelScope(shield=True):  # it has a limit
            await worker.stop(self._settings.cancel_grace_s + self._settings.terminate_grace_s)

    async def _spare_or_started(self) -> tuple[Worker, SlotEvents]:
        while self._spares:
            worker, events = self._spares.pop(0)
            self._spare_taken.set()
            if not events.has_died:
                return worker, events
        return await self._started()

    async def _started(self) -> tuple[Worker, SlotEvents]:
        events, index = self._dispatcher.events(), self._started_count
        self._started_count += 1
        return await self._backend.start(index, events), events

    def _install(self, slot: Slot, worker: Worker, events: SlotEvents) -> None:
        if events.has_died:
            raise ServiceUnavailable(f"a worker of {self._name} {_DIED_EARLY}")
        self._dispatcher.install(slot, worker, events)

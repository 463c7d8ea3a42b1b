"""Starts the workers of a pool and replaces those that die."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import structlog

from workers.errors import ServiceUnavailable

if TYPE_CHECKING:
    from workers.dispatcher import Dispatcher
    from workers.slots import Slot
    from workers.worker import Backend

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

FIRST_DELAY_S = 0.05


def restart_delay_s(failures_count: int, cap_s: float) -> float:
    """Return how long to wait before a worker is started anew: at once, then 0.1 s, doubling up to `cap_s`."""
    if failures_count <= 0:
        return 0.0
    return min(FIRST_DELAY_S * 2.0 ** min(failures_count, 32), cap_s)


class Keeper:
    """Sees that every slot has a worker."""

    def __init__(self, dispatcher: Dispatcher, backend: Backend, *, name: str, max_delay_s: float) -> None:
        self._dispatcher = dispatcher
        self._backend = backend
        self._name = name
        self._max_delay_s = max_delay_s

    async def start_all(self) -> None:
        """Start the first worker of each slot, side by side; what started before an error is left to `stop_all`.

        Raises:
            OSError: This kind can't run here.
            ServiceUnavailable: The service could not be built.
        """
        errors: list[Exception] = []

        async def start(slot: Slot) -> None:
            try:
                await self._start(slot)
            except (OSError, ServiceUnavailable) as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            for slot in self._dispatcher.slots:
                group.start_soon(start, slot)
        if errors:
            raise errors[0]

    async def stop_all(self, limit_s: float) -> None:
        """See every worker end, within `limit_s` or by force."""
        async with anyio.create_task_group() as group:
            for slot in self._dispatcher.slots:
                worker, slot.worker = slot.worker, None
                if worker is not None:
                    group.start_soon(worker.stop, limit_s)

    async def keep(self, slot: Slot) -> None:
        """Replace the worker of `slot` whenever it dies, at once and then with a doubling delay; runs for ever."""
        tally = self._dispatcher.ledger.tally
        failures_count = 0
        while True:
            await slot.gone.wait()
            slot.gone = anyio.Event()
            failures_count = failures_count + 1 if tally.deaths_in_a_row_count else 0
            _log.warning("workers.worker_died", pool=self._name, worker=slot.index, reason=slot.death_reason)
            while True:
                await anyio.sleep(restart_delay_s(failures_count, self._max_delay_s))
                tally.restarts_count += 1
                try:
                    await self._start(slot)
                except (OSError, ServiceUnavailable) as error:
                    failures_count += 1
                    tally.deaths_in_a_row_count += 1
                    _log.warning(
                        "workers.start_failed", pool=self._name, worker=slot.index, reason=str(error)
                    )
                else:
                    break

    async def _start(self, slot: Slot) -> None:
        slot.worker = await self._backend.start(slot.index, self._dispatcher.events_of(slot))
        self._dispatcher.pump_soon()

"""Calls that go to one worker, whose service keeps state between them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workers.errors import ServiceUnavailable, WorkerDied
from workers.slots import load_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.dispatcher import Dispatcher
    from workers.entrance import Entrance
    from workers.settings import Lane
    from workers.slots import Slot
    from workers.worker import Worker


class Session:
    """Calls that go to one worker, in order; made by `Pool.session`."""

    def __init__(self, entrance: Entrance, slot: Slot, tenant: str = "") -> None:
        self._entrance = entrance
        self._slot = slot
        self._tenant = tenant
        self._worker: Worker | None = slot.worker

    async def call(self, method: str, params: Any = None, *, timeout_s: float | None = None) -> Any:
        """Have the session's worker run `method`; see `Pool.call`.

        Raises:
            WorkerDied: The worker of this session is gone, and what its service kept for it as well.
        """
        if self._slot.worker is not self._worker and self._worker is not None:
            raise WorkerDied("the worker of this session is gone", begun=False)
        pending = self._entrance.submit(
            method,
            params,
            timeout_s,
            lane="scan",
            key=None,
            fingerprint=None,
            idempotent=True,
            pinned=self._slot,
            tenant=self._tenant,
        )
        answer = await self._entrance.answer_to(pending)
        if self._worker is None:  # it was started for this session
            self._worker = self._slot.worker
        return answer


@contextmanager
def opened_session(
    dispatcher: Dispatcher, entrance: Entrance, lane: Lane, *, name: str, tenant: str
) -> Iterator[Session]:
    """Pin a session to the worker of `lane` that has the fewest; see `Pool.session`."""
    slots = dispatcher.slots
    fitting = [slot for slot in slots if slot.is_maintenance] if lane == "maintenance" else []
    if not fitting:
        fitting = [slot for slot in slots if slot.worker is not None and not slot.is_maintenance]
        if lane != "short":
            fitting = [slot for slot in fitting if slot is not dispatcher.reserved] or fitting
    if not fitting:
        raise ServiceUnavailable(f"no worker of {name} is alive")
    slot = min(fitting, key=lambda each: (each.session_count, load_of(each)))
    slot.session_count += 1
    try:
        yield Session(entrance, slot, tenant)
    finally:
        slot.session_count -= 1

"""The lanes that this process has claimed: those ready to begin, those that run, and those that have ended.

No more run at once than may. A claim is renewed at half of its lease for as long as the lane is held; a handler that
takes too long is stopped; a claim that was lost ends its lane at once, and nothing that it reports counts.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import structlog
from anyio.lowlevel import checkpoint

from chat.queue.lanes import renewal_ms
from chat.queue.storage_troubles import MAY_PASS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import anyio

    from chat.queue.clock import QueueClock
    from chat.queue.lane_run import LaneRun
    from chat.queue.outbox import Outbox
    from chat.queue.settings import QueueSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class HeldLanes:
    """What one process has claimed."""

    def __init__(
        self,
        outbox: Outbox,
        settings: QueueSettings,
        clock: QueueClock,
        *,
        on_ended: Callable[[], None],
    ) -> None:
        self.by_id: dict[int, LaneRun] = {}
        self.running: set[LaneRun] = set()
        self.ended: list[LaneRun] = []
        """They are given back with the next turn."""
        self._ready: deque[LaneRun] = deque()
        self._outbox = outbox
        self._clock = clock
        self._on_ended = on_ended
        self._concurrency = settings.concurrency
        self._lease_ms = int(1000 * settings.lease_s)
        self._call_limit_ms = int(1000 * settings.call_timeout_s)
        self._renew_ms = 0

    @property
    def open_count(self) -> int:
        """How many are held and have not ended."""
        return len(self.by_id) - len(self.ended)

    @property
    def ready_count(self) -> int:
        """How many have not begun."""
        return len(self._ready)

    def hold(self, lane: LaneRun) -> None:
        """Take a lane that was claimed."""
        self.by_id[lane.lease.lane_id] = lane
        self._ready.append(lane)
        if not self._renew_ms:
            self._renew_ms = renewal_ms(self._clock.boot_ms(), self._lease_ms)

    def end(self, account: str | None = None) -> None:
        """Begin nothing more in the lanes that are held, all of them or those of `account`."""
        for lane in self.by_id.values():
            if account is None or lane.lease.account == account:
                lane.is_ending = True

    def end_all_now(self) -> None:
        """Count all lanes as ended."""
        for lane in [each for each in self.by_id.values() if each not in self.ended]:
            lane.end()
            self.ended.append(lane)

    def let_go(self, given_back: Sequence[LaneRun]) -> None:
        """Forget the first lanes that have ended: they were given back."""
        del self.ended[: len(given_back)]
        for lane in given_back:
            if self.by_id.get(lane.lease.lane_id) is lane:
                del self.by_id[lane.lease.lane_id]

    def start_ready(self, group: anyio.abc.TaskGroup) -> None:
        """Begin as many lanes as may run."""
        for lane in [each for each in self._ready if each.is_ending]:
            self._ready.remove(lane)
            lane.end()
            self.ended.append(lane)
        while (ready := self._next_ready()) is not None:
            group.start_soon(self._work, ready)

    def _next_ready(self) -> LaneRun | None:
        if not self._ready or len(self.running) >= self._concurrency:
            return None
        lane = self._ready.popleft()
        self.running.add(lane)
        return lane

    async def _work(self, first: LaneRun) -> None:
        """Run a lane and, while there are others, the next one: a task for each would cost more than ten actions."""
        lane: LaneRun | None = first
        while lane is not None:
            try:
                await lane.run()
            finally:
                self.running.discard(lane)
                self.ended.append(lane)
                self._on_ended()
            await checkpoint()
            lane = self._next_ready()

    async def tend(self, now_ms: int) -> None:
        """Stop handlers that run for too long, and keep claims from lapsing."""
        for lane in self.running:
            is_over = bool(lane.under_way) and now_ms - lane.began_ms >= self._call_limit_ms
            if is_over and not lane.is_overdue:
                lane.is_overdue = True
                lane.scope.cancel()
        if not self.by_id:
            self._renew_ms = 0
        elif now_ms >= self._renew_ms > 0:
            await self._renew(now_ms)

    async def _renew(self, now_ms: int) -> None:
        held = list(self.by_id.values())
        try:
            kept = await self._outbox.renew(
                [(lane.lease.lane_id, lane.lease.fence) for lane in held], now_ms + self._lease_ms
            )
        except MAY_PASS as error:
            _log.warning("chat.renewal_delayed", error=str(error))
            return
        self._renew_ms = renewal_ms(now_ms, self._lease_ms)
        for lane in held:
            lane.until_ms = now_ms + self._lease_ms
            if lane.lease.lane_id not in kept:
                lane.is_lost = lane.is_ending = True
                lane.scope.cancel()

"""How many calls run, how many wait, and what the next caller is told; pure.

Each lane may have as many calls as it has workers, plus `max_waiting_count`. Counting calls until they are
answered, rather than those in one queue, makes the bound exact: with 2 workers and a bound of 100, the 103rd call
is the first that is refused, however the calls are spread over the workers' windows.

A tenant whose own calls are few is not refused because of another's: beyond the bound there are spare places, a quarter
of it, for those that have less waiting than their fair share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.errors import PoolSaturated
from workers.pace import Pace

if TYPE_CHECKING:
    from workers.settings import Lane

MIN_RETRY_AFTER_S = 0.05
MAX_RETRY_AFTER_S = 30.0
_RATE_WEIGHT = 0.2
_MOMENT_S = 0.001
_SPARE_SHARE = 4


class Admission:
    """Counts the calls of one pool and refuses those beyond its bounds."""

    def __init__(self, *, running: dict[Lane, int], max_waiting_count: int, max_waiting_bytes: int) -> None:
        self._running = running
        self.limits: dict[Lane, int] = {lane: count + max_waiting_count for lane, count in running.items()}
        self.paces: dict[Lane, Pace] = {lane: Pace() for lane in running}
        self._answered: dict[Lane, int] = dict.fromkeys(running, 0)
        self._were_busy: dict[Lane, bool] = dict.fromkeys(running, False)
        self.per_call_s: dict[Lane, float] = dict.fromkeys(running, 0.0)
        """How long each call of a lane takes, as its pace was at the last look: for a first, quick guess."""
        self._max_waiting_count = max_waiting_count
        self._max_waiting_bytes = max_waiting_bytes
        self._rate_per_s = 0.0
        self.counts: dict[Lane, int] = dict.fromkeys(running, 0)
        self.held_bytes = 0
        self.rejected: dict[str, int] = {}

    @property
    def outstanding_count(self) -> int:
        """The number of calls that were admitted and not answered yet."""
        return sum(self.counts.values())

    def admit(self, lane: Lane, size_bytes: int, *, is_modest: bool = False) -> None:
        """Count a call in, or refuse it; one of a tenant that `is_modest` may have a spare place.

        Raises:
            PoolSaturated: A bound is reached; nothing was counted.
        """
        spare_count = self._max_waiting_count // _SPARE_SHARE if is_modest else 0
        if self.counts[lane] >= self.limits[lane] + spare_count:
            self._refuse(
                "queue_full",
                f"{self._max_waiting_count} calls wait already, which is the most that may",
            )
        if self.held_bytes + size_bytes > self._max_waiting_bytes:
            self._refuse_bytes(size_bytes)
        self.counts[lane] += 1
        self.held_bytes += size_bytes

    def release(self, lane: Lane, count: int, size_bytes: int) -> None:
        """Count out `count` calls that hold `size_bytes` together and were answered, or given up."""
        self.counts[lane] -= count
        self._answered[lane] += count
        self.held_bytes -= size_bytes

    def require_time(self, lane: Lane, ahead_count: int, left_s: float) -> None:
        """Refuse a call that has `left_s` to be answered in if those ahead of it alone will take longer.

        Raises:
            PoolSaturated: They will; nothing was counted.
        """
        wait_s = self.paces[lane].wait_s(ahead_count)
        if wait_s > left_s:
            refusal = self.refuse(
                "no_time",
                f"{ahead_count} calls come before this one and will take {wait_s:.3g} s; it has {left_s:.3g} s",
            )
            refusal.retry_after_s = min(max(wait_s - left_s, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
            raise refusal

    def hold(self, size_bytes: int) -> None:
        """Count the buffers of a request in, or refuse them.

        Raises:
            PoolSaturated: The bound is reached; nothing was counted.
        """
        if self.held_bytes + size_bytes > self._max_waiting_bytes:
            self._refuse_bytes(size_bytes)
        self.held_bytes += size_bytes

    def let_go(self, size_bytes: int) -> None:
        """Count buffers out."""
        self.held_bytes -= size_bytes

    def moved(self, lane: Lane, to_lane: Lane) -> None:
        """Count a call that changed its lane; it was admitted once and is not refused now."""
        self.counts[lane] -= 1
        self.counts[to_lane] += 1

    def observe_rate(self, completed_count: int, elapsed_s: float, now: float = 0.0) -> None:
        """Learn how quickly calls were answered in the `elapsed_s` before `now`; a moment too short says nothing."""
        if elapsed_s >= _MOMENT_S:
            self._rate_per_s += _RATE_WEIGHT * (completed_count / elapsed_s - self._rate_per_s)
        for lane, pace in self.paces.items():
            is_busy = self.counts[lane] > self._running[lane]
            pace.observe(self._answered[lane], elapsed_s, was_busy=is_busy and self._were_busy[lane], now=now)
            self.per_call_s[lane] = pace.per_call_s
            self._answered[lane] = 0
            self._were_busy[lane] = is_busy

    def retry_after_s(self) -> float:
        """Return the time in seconds after which half of what waits should be answered, within its limits."""
        if self._rate_per_s <= 0:
            return 1.0
        return min(max(self.outstanding_count / 2 / self._rate_per_s, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)

    def refuse(self, reason: str, message: str) -> PoolSaturated:
        """Count a refusal and return the error that says so."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        return PoolSaturated(message, retry_after_s=self.retry_after_s(), reason=reason)

    def _refuse_bytes(self, size_bytes: int) -> None:
        self._refuse(
            "bytes_full",
            f"the calls that wait hold {self.held_bytes} bytes, and this one has {size_bytes}; "
            f"together at most {self._max_waiting_bytes} are held",
        )

    def _refuse(self, reason: str, message: str) -> None:
        raise self.refuse(reason, message)

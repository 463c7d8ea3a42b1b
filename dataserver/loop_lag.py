"""How late the event loop is: a timer every 10 ms, and by how much it missed.

100 turns a second cost about 0.1 % of a core. What is shorter than the period is seen with luck only; what stalls the
loop for longer is always seen, if cut by less than 10 ms.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from time import monotonic
from typing import Final

PERIOD_S: Final = 0.01
BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
WINDOW_S: Final = 15.0
"""The gauge shows the worst of the last one to two windows: longer than between two scrapes."""


class LoopLag:
    """The lateness of the loop it was started on."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0
        self._worst_s = 0.0
        self._worst_before_s = 0.0
        self._window_ends = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def worst_s(self) -> float:
        """The latest that the timer came in the last one to two windows."""
        return max(self._worst_s, self._worst_before_s)

    def start(self) -> None:
        """Begin on the running loop; calling again does nothing."""
        if self._timer is None:
            self._window_ends = monotonic() + WINDOW_S
            self._arm(asyncio.get_running_loop())

    def close(self) -> None:
        """Stop; what was counted stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def record(self, late_s: float, now: float) -> None:
        """Count that the timer came `late_s` late at `now`, in monotonic seconds."""
        late_s = max(0.0, late_s)
        self.counts[bisect_left(BUCKETS_S, late_s)] += 1
        self.total_s += late_s
        if now > self._window_ends:
            self._worst_before_s, self._worst_s = self._worst_s, 0.0
            self._window_ends = now + WINDOW_S
        self._worst_s = max(self._worst_s, late_s)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = monotonic() + PERIOD_S  # uvloop's own time has whole milliseconds only
        self._timer = loop.call_later(PERIOD_S, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = monotonic()
        self.record(now - self._due, now)
        self._arm(loop)

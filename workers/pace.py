"""How long a call would have to wait, told from how quickly a lane answers while it has more to do than it can. Pure.

Only moments in which calls waited from beginning to end say what a lane is able to do; how quickly a lane with little
to do answers says how little there was. So an idle pool has no pace, and no call is refused for it. A pace is learnt
from at least `LEAST_COUNT` answers, lasts while the lane stays busy, and is forgotten once it was not for `MEMORY_S`.
"""

from __future__ import annotations

LEAST_COUNT = 8
"""With fewer answers there is no telling."""
WINDOW_COUNT = 64
WINDOW_S = 0.5
"""What is older than about so many answers, and so much busy time, counts ever less."""
MEMORY_S = 5.0
LEAST_WAIT_S = 0.01
"""A shorter wait is none: a look at the clock every 5 ms can't tell it."""


class Pace:
    """The answers of one lane against the time that they took while others waited."""

    def __init__(self) -> None:
        self._answered_count = 0.0
        self._busy_s = 0.0
        self._busy_at = 0.0

    def observe(self, answered_count: int, elapsed_s: float, *, was_busy: bool, now: float) -> None:
        """Learn that `answered_count` calls were answered in the `elapsed_s` before `now` (monotonic).

        `was_busy` says that calls waited all the while.
        """
        if not was_busy:
            if now - self._busy_at > MEMORY_S:
                self._answered_count = self._busy_s = 0.0
            return
        self._busy_at = now
        self._answered_count += answered_count
        self._busy_s += elapsed_s
        if self._answered_count >= WINDOW_COUNT and self._busy_s >= WINDOW_S:
            self._answered_count /= 2
            self._busy_s /= 2

    @property
    def per_call_s(self) -> float:
        """How long one call takes, all workers together; 0.0 where nobody knows."""
        return 0.0 if self._answered_count < LEAST_COUNT else self._busy_s / self._answered_count

    def wait_s(self, ahead_count: int) -> float:
        """Return how long `ahead_count` calls would take to be answered; 0.0 for none, or nobody knows."""
        wait_s = ahead_count * self.per_call_s
        return wait_s if wait_s >= LEAST_WAIT_S else 0.0

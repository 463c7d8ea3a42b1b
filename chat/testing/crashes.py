"""Crashes at named steps of a queue."""

from __future__ import annotations

import os
import signal

STEPS = ("adding", "added", "turning", "turned", "calling", "answered")
"""Where a queue can be made to crash: before and after actions are stored, before and after a turn (reports and claims)
is written, before a handler is called and after it has answered."""


class CrashAt:
    """Kills its own process when a queue comes to `step` for the `nth` time: `open_queue(..., on_step=CrashAt(...))`."""

    def __init__(self, step: str, nth: int = 1) -> None:
        if step not in STEPS:
            raise ValueError(f"{step!r} is no step; there are {', '.join(STEPS)}")
        self._step = step
        self._left = nth

    def __call__(self, step: str) -> None:
        """Count `step`, and crash if it is time."""
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

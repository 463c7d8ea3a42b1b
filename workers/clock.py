"""Time as an argument: whoever needs it takes a `Clock`, and tests move one by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Return wall time in seconds UTC since 1970; it may jump."""

    def monotonic(self) -> float:
        """Return seconds that never go back, of no particular origin; deadlines are made of these."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return the machine's wall time in seconds UTC since 1970."""
        return time.time()  # noqa: TID251 - the one place that reads it

    def monotonic(self) -> float:
        """Return `time.monotonic`, which all processes of the machine share."""
        return time.monotonic()

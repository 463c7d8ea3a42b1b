"""A clock that a test moves by hand."""

from __future__ import annotations


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._passed = 0.0

    def now(self) -> float:
        return self._now + self._passed

    def monotonic(self) -> float:
        return 1_000.0 + self._passed

    def advance(self, seconds: float) -> None:
        self._passed += seconds

    def set_by(self, seconds: float) -> None:
        """Move the wall time alone, as somebody does who sets the clock."""
        self._now += seconds

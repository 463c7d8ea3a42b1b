"""Which kinds of calls proved slow, and so start in the scan lane."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

MAX_COUNT = 1_000
QUICK_RUNS_TO_PARDON_COUNT = 8


class SlowFingerprints:
    """A bounded memory of slow fingerprints; quick runs in a row make one short again."""

    def __init__(self, slow_us: float) -> None:
        self._slow_us = slow_us
        self._quick_runs: OrderedDict[Hashable, int] = OrderedDict()

    def __contains__(self, fingerprint: Hashable) -> bool:
        return fingerprint in self._quick_runs

    def add(self, fingerprint: Hashable) -> None:
        """Remember that a call of this kind was slow; the oldest of too many is forgotten."""
        self._quick_runs[fingerprint] = 0
        if len(self._quick_runs) > MAX_COUNT:
            self._quick_runs.popitem(last=False)

    def observe(self, fingerprint: Hashable, run_us: int) -> None:
        """Learn from a run in the scan lane."""
        quick_runs = self._quick_runs.get(fingerprint)
        if quick_runs is None:
            return
        if run_us > self._slow_us / 2:
            self._quick_runs[fingerprint] = 0
        elif quick_runs + 1 >= QUICK_RUNS_TO_PARDON_COUNT:
            del self._quick_runs[fingerprint]
        else:
            self._quick_runs[fingerprint] = quick_runs + 1

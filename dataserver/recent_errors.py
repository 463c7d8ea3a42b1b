"""The errors of late, for whoever looks at the server now: what was answered with a status of 500 or more.

The log has each of them with its trace; this has the last few kinds, how often each came, and nothing of what was asked.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from workers import Clock

MAX_KIND_COUNT: Final = 100


class RecentError(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of error at one route."""

    at_ms: int
    """When it came last."""
    route: str
    code: str
    status: int
    count: int
    """Since the server started, or since it was forgotten for newer kinds."""


class RecentErrors:
    """The kinds of errors that came last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kinds: OrderedDict[tuple[str, str], RecentError] = OrderedDict()

    def add(self, *, route: str, code: str, status: int) -> None:
        """Take note of an error."""
        at_ms = int(self._clock.now() * 1000)
        known = self._kinds.pop((route, code), None)
        count = 1 if known is None else known.count + 1
        self._kinds[route, code] = RecentError(
            at_ms=at_ms, route=route, code=code, status=status, count=count
        )
        if len(self._kinds) > MAX_KIND_COUNT:
            self._kinds.popitem(last=False)

    def list(self) -> list[RecentError]:
        """Return the kinds, the one that came last first."""
        return list(reversed(self._kinds.values()))

"""Which tenants have lost the benefit of the doubt. Pure.

Nobody knows of a new text whether it is quick, so it is tried where quick calls run, and a tenant whose every query is a
new one, and slow, would hold that worker for `demote_after_s` each time. While others ask too, a tenant of which that
was seen twice within `WINDOW_S` begins with its new texts as scans; those that proved quick go on as before. It has the
benefit again when nothing of its was slow for `DOUBT_S`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

WINDOW_S = 1.0
DOUBT_S = 2.0
_DEMOTIONS_COUNT = 2
_MAX_TENANTS_COUNT = 1_000
_MAX_QUICK_COUNT = 4_000


class Doubts:
    """The tenants in doubt, and the fingerprints that proved quick meanwhile; empty most of the time."""

    def __init__(self) -> None:
        self._demoted: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._until: OrderedDict[str, float] = OrderedDict()
        self._quick: OrderedDict[Hashable, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._until)

    def demoted(self, tenant: str, now: float) -> None:
        """Take note that a call of `tenant` turned out to be slow at `now` (monotonic)."""
        began_at, count = self._demoted.pop(tenant, (now, 0))
        if now - began_at > WINDOW_S:
            began_at, count = now, 0
        self._demoted[tenant] = (began_at, count + 1)
        if len(self._demoted) > _MAX_TENANTS_COUNT:
            self._demoted.popitem(last=False)
        if count + 1 >= _DEMOTIONS_COUNT:
            self._doubt(tenant, now)

    def ran(self, tenant: str, fingerprint: Hashable, now: float, *, is_slow: bool) -> None:
        """Take note of how a call ran that began as a scan."""
        if not is_slow:
            self.quick(fingerprint)
        elif tenant in self._until:
            self._doubt(tenant, now)

    def quick(self, fingerprint: Hashable) -> None:
        """Take note that a call was quick."""
        self._quick[fingerprint] = None
        if len(self._quick) > _MAX_QUICK_COUNT:
            self._quick.popitem(last=False)

    def has(self, tenant: str, fingerprint: Hashable, now: float) -> bool:
        """Return whether a call is to begin as a scan."""
        until = self._until.get(tenant)
        if until is None:
            return False
        if now > until:
            del self._until[tenant]
            if not self._until:
                self._quick.clear()
            return False
        return fingerprint not in self._quick

    def _doubt(self, tenant: str, now: float) -> None:
        self._until[tenant] = now + DOUBT_S
        if len(self._until) > _MAX_TENANTS_COUNT:
            self._until.popitem(last=False)

"""How often something may be done: a bucket of tokens for each key, which fills again with time.

A bucket is one number, the time at which it will be full again; a full one need not be kept, so what is kept are the
keys of the last moments. When there are too many of those, new keys share one bucket: memory stays bounded, and a
flood of made-up keys does not empty the books of the real ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chat.domain.refusals import TooOften

if TYPE_CHECKING:
    from collections.abc import Hashable

    from workers import Clock

MAX_KEY_COUNT: Final = 10_000

_SHARED: Final = object()


class Drawn(NamedTuple):
    """A bucket after a token was asked of it."""

    full_at: float
    """When the bucket is full again, as it is now."""
    wait_s: float
    """0 if there was a token; else how long until there is one, and none was taken."""


def take(full_at: float, now: float, *, per_s: float, burst_count: int) -> Drawn:
    """Take a token from a bucket of `burst_count` that gains `per_s` a second and is full at `full_at`."""
    after = max(full_at, now) + 1 / per_s
    wait_s = after - now - burst_count / per_s
    if wait_s > 1e-9 * burst_count / per_s:  # less is the rounding of floats
        return Drawn(full_at, wait_s)
    return Drawn(after, 0.0)


class RateLimit:
    """One bucket a key."""

    def __init__(
        self,
        clock: Clock,
        *,
        what: str,
        per_s: float,
        burst_count: int,
        max_key_count: int = MAX_KEY_COUNT,
    ) -> None:
        self._clock = clock
        self._what = what
        self._per_s = per_s
        self._burst_count = burst_count
        self._max_key_count = max_key_count
        self._full_at: dict[Hashable, float] = {}
        self._looked_at = 0.0

    def take(self, key: Hashable) -> None:
        """Count one more for `key`.

        Raises:
            TooOften: There were too many; this one is not counted.
        """
        now = self._clock.monotonic()
        key = self._place(key, now)
        taken = take(self._full_at.get(key, now), now, per_s=self._per_s, burst_count=self._burst_count)
        if taken.wait_s > 0:
            raise TooOften(
                f"too many {self._what}; try again in {taken.wait_s:.1f} s", retry_after_s=taken.wait_s
            )
        self._full_at[key] = taken.full_at

    def give_back(self, key: Hashable) -> None:
        """Count one less: it was none of those that are to be few."""
        full_at = self._full_at.get(key)
        if full_at is not None:
            self._full_at[key] = full_at - 1 / self._per_s

    def _place(self, key: Hashable, now: float) -> Hashable:
        if key in self._full_at or len(self._full_at) < self._max_key_count:
            return key
        if now - self._looked_at >= 1 / self._per_s:  # or each new key would look at all of them
            self._looked_at = now
            self._full_at = {each: at for each, at in self._full_at.items() if at > now}
        return key if len(self._full_at) < self._max_key_count else _SHARED

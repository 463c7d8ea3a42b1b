"""How long to wait before an action is tried again. Pure; the chance is an argument.

The wait is drawn between 0 and a bound that doubles with each attempt up to a cap ("full jitter"): callers whose
server failed at the same moment come back spread out. What the server itself asks for (`Retry-After`) wins over both
bound and cap; jitter is only ever added to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_DOUBLINGS = 64
"""2**64 base delays are past every cap; more would overflow a float."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """The numbers of one type's retries.

    Raises:
        ValueError: A number makes no sense; the message names it.
    """

    max_attempts: int | None = 3
    """How many tries may fail before the action is given up; None for no end."""
    base_delay_s: float = 2.0
    max_delay_s: float = 300.0
    max_retry_after_s: float = 86_400.0
    """The longest that a server may ask for."""

    def __post_init__(self) -> None:
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}; at least 1, or None, is allowed")
        for name in ("base_delay_s", "max_delay_s", "max_retry_after_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} is {value!r}; a finite number of seconds above 0 is allowed")

    def is_spent(self, attempts: int) -> bool:
        """Return whether `attempts` failed tries are all there may be."""
        return self.max_attempts is not None and attempts >= self.max_attempts

    def bound_s(self, attempts: int) -> float:
        """Return the longest wait after `attempts` failed tries."""
        doublings = min(max(attempts - 1, 0), _MOST_DOUBLINGS)
        return min(self.max_delay_s, self.base_delay_s * 2.0**doublings)

    def delay_s(self, attempts: int, chance: float, retry_after_s: float | None = None) -> float:
        """Return the wait after `attempts` failed tries; `chance` is from 0 to 1.

        A `retry_after_s` that is no number of seconds counts as none.
        """
        jitter_s = self.bound_s(attempts) * min(max(chance, 0.0), 1.0)
        if retry_after_s is None or not retry_after_s > 0:
            return jitter_s
        asked_s = min(retry_after_s, self.max_retry_after_s)
        return asked_s + min(jitter_s, self.base_delay_s)

"""How often a user may do each kind of thing: one bucket a kind and user, with the operator's numbers.

Sends, other changes, searches; and of the changes those that make something that stays, far fewer. Read markers have a
bucket of their own, as large as that of changes: a program that marks each message as it comes takes nothing away from
what its user does. What is refused was not begun, so whoever comes again after the time that they are told does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chat.domain.rates import RateLimit

if TYPE_CHECKING:
    from chat.domain.account_settings import AccountSettings
    from workers import Clock

CREATIONS: Final = frozenset(
    {
        "create-space",
        "create-room",
        "create-group",
        "create-invite",
        "open-direct",
        "register-signing-key",
        "set-avatar",
    }
)
"""The kinds of actions that make something."""
_MINUTE_S: Final = 60


class Paces:
    """The buckets of all users."""

    def __init__(self, clock: Clock, settings: AccountSettings) -> None:
        self.sends = RateLimit(
            clock, what="messages", per_s=settings.sends_per_s, burst_count=settings.send_burst_count
        )
        self.searches = _a_minute(clock, "searches", settings.searches_per_minute)
        self._changes = _changes(clock, "changes", settings)
        self.read_markers = _changes(clock, "read markers", settings)
        self._creations = _a_minute(
            clock, "new spaces, rooms, groups, links and pictures", settings.creations_per_minute
        )

    def take(self, user_id: int, kind: str) -> None:
        """Count an action of a user.

        Raises:
            TooOften: There were too many.
        """
        if kind in CREATIONS:
            self._creations.take(user_id)
        self._changes.take(user_id)


def _changes(clock: Clock, what: str, settings: AccountSettings) -> RateLimit:
    return RateLimit(clock, what=what, per_s=settings.changes_per_s, burst_count=settings.change_burst_count)


def _a_minute(clock: Clock, what: str, count: int) -> RateLimit:
    return RateLimit(clock, what=what, per_s=count / _MINUTE_S, burst_count=count)

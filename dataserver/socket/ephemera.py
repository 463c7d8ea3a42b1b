"""What is told and not stored: who types, who is there. Coalesced over a moment, so that many cost one frame. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

TYPING_EVERY_S: Final = 2.0
"""A user who types on is told again no sooner."""
MAX_AUDIENCE_COUNT: Final = 1_000
"""A stream that more clients follow is told nothing of the kind: it would cost more than its events."""

Status = Literal["online", "away", "busy"]
OFFLINE: Final = "offline"


class Typing:
    """Who types where."""

    def __init__(self) -> None:
        self._told_at: dict[tuple[int, int], float] = {}
        self._untold: dict[int, set[int]] = {}

    def note(self, room_id: int, user_id: int, now: float) -> bool:
        """Take note that a user types, and return whether that is to be told; `now` is monotonic, in seconds."""
        told_at = self._told_at.get((room_id, user_id))
        if told_at is not None and now - told_at < TYPING_EVERY_S:
            return False
        self._told_at[room_id, user_id] = now
        self._untold.setdefault(room_id, set()).add(user_id)
        return True

    def take(self, now: float) -> dict[int, list[int]]:
        """Return by room who is to be told of, and forget what was told long ago."""
        untold = {room_id: sorted(users) for room_id, users in self._untold.items()}
        self._untold.clear()
        for key in [key for key, at in self._told_at.items() if now - at >= TYPING_EVERY_S]:
            del self._told_at[key]
        return untold


class Presence:
    """Who is in a space now, as its members were told."""

    def __init__(self) -> None:
        self._told: dict[int, dict[int, str]] = {}
        self._marked: set[tuple[int, int]] = set()

    def mark(self, space_id: int, user_id: int) -> None:
        """Take note that a user may have come to a space, gone from it, or changed."""
        self._marked.add((space_id, user_id))

    def told(self, space_id: int) -> dict[int, str]:
        """Return who is in a space, as far as it was told."""
        return dict(list(self._told.get(space_id, {}).items())[:MAX_AUDIENCE_COUNT])

    def take(self, status_of: Callable[[int, int], str | None]) -> dict[int, dict[int, str]]:
        """Return by space what is to be told; who came back meanwhile, as they were, is not.

        Args:
            status_of: Returns how a user (second) is in a space (first) now, None if they are not there.
        """
        changes: dict[int, dict[int, str]] = {}
        for space_id, user_id in self._marked:
            told = self._told.setdefault(space_id, {})
            status = status_of(space_id, user_id)
            if status == told.get(user_id):
                continue
            if status is None:
                del told[user_id]
            else:
                told[user_id] = status
            changes.setdefault(space_id, {})[user_id] = status or OFFLINE
        self._marked.clear()
        for space_id in [space_id for space_id, told in self._told.items() if not told]:
            del self._told[space_id]
        return changes

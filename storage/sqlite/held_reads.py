"""What a reading worker keeps open between calls: streams and snapshots, each on a connection of its own.

Each reads one state of its database, and holds the write-ahead log, which can't be cut behind it. So they are few, one
that nobody asks for is closed (looked at whenever the worker does anything else), and none lives longer than its age.
Why one was ended is kept for a while, so that whoever comes back to it is told.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from storage.errors import ReadTooOld, StorageSaturated

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw


class Held(Protocol):
    """A read that is held open."""

    connection: apsw.Connection

    def close(self) -> None:
        """Let go of the state that it reads."""


H = TypeVar("H", bound=Held)

_MAX_REASONS_COUNT = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldingSettings:
    """The bounds of what a worker holds."""

    max_count: int = 8
    idle_s: float = 30.0
    age_s: float = 600.0


@dataclass(slots=True)
class _Entry(Generic[H]):
    held: H
    born_at: float
    used_at: float


class HeldReads(Generic[H]):
    """The held reads of one kind in one worker, by a number that the pool's side gives them."""

    def __init__(self, settings: HoldingSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._entries: dict[int, _Entry[H]] = {}
        self._reasons: OrderedDict[int, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def open(self, number: int, opened: Callable[[], H]) -> None:
        """Hold what `opened` returns as `number`, which nothing else has.

        Raises:
            StorageSaturated: As many as are allowed are open.
            StorageError: What `opened` raises.
        """
        self.drop_idle()
        if len(self._entries) >= self._settings.max_count:
            raise StorageSaturated(f"{len(self._entries)} reads are held open", retry_after_s=1.0)
        held = opened()
        now = self._clock()
        self._entries[number] = _Entry(held, now, now)

    def find(self, number: int) -> H | None:
        """Return what is held as `number`, which counts as used now; None if it was closed.

        Raises:
            ReadTooOld: It was ended; the text says why.
        """
        self.drop_idle()
        entry = self._entries.get(number)
        if entry is None:
            reason = self._reasons.pop(number, None)
            if reason is not None:
                raise ReadTooOld(reason)
            return None
        entry.used_at = self._clock()
        return entry.held

    def close(self, number: int) -> None:
        """Close what is held as `number`, if anything is."""
        entry = self._entries.pop(number, None)
        if entry is not None:
            entry.held.close()

    def end(self, number: int, reason: str) -> None:
        """Close what is held as `number`, if anything is, and keep why."""
        if number in self._entries:
            self.close(number)
            self._reasons[number] = reason
            if len(self._reasons) > _MAX_REASONS_COUNT:
                self._reasons.popitem(last=False)

    def drop_idle(self) -> None:
        """Close what nobody asked for in time, and what is too old."""
        now = self._clock()
        for number, entry in list(self._entries.items()):
            if now - entry.born_at > self._settings.age_s:
                self.end(
                    number, f"the read held one state for {self._settings.age_s:g} s, as long as any may"
                )
            elif now - entry.used_at > self._settings.idle_s:
                self.close(number)

    def close_all(self) -> None:
        """Close all."""
        for number in list(self._entries):
            self.close(number)

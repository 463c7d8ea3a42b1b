"""The backups that run now, and how far each is, for whoever looks at the server."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers import Clock


class RunningBackup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that is being made."""

    database: str
    done_pages: int = 0
    total_pages: int | None = None
    """None until it is known: the backup may wait for its turn."""
    step: str = ""
    """What it does now."""
    running_s: float = 0.0


class RunningBackups:
    """The backups that run; bounded by storage, which refuses more than some."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count(1)
        self._running: dict[int, tuple[float, RunningBackup]] = {}

    def list(self) -> list[RunningBackup]:
        """Return them, the one that began first first."""
        now = self._clock.monotonic()
        return [
            msgspec.structs.replace(backup, running_s=now - began) for began, backup in self._running.values()
        ]

    @contextmanager
    def one(self, database: str) -> Iterator[Callable[[int, int | None, str], None]]:
        """Know of a backup while this is entered; what it yields is told how far it is."""
        number, began = next(self._numbers), self._clock.monotonic()

        def progressed(done: int, total: int | None, step: str) -> None:
            backup = RunningBackup(database=database, done_pages=done, total_pages=total, step=step)
            self._running[number] = (began, backup)

        progressed(0, None, "")
        try:
            yield progressed
        finally:
            del self._running[number]

"""Sends that came before their turn: each waits a little for the one before it.

Sends of one device travel on several connections, or begin in several tasks, and overtake each other by milliseconds.
The database decides whose turn it is; this only saves a round trip over the network to those that are early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio

if TYPE_CHECKING:
    from types import TracebackType

Turn = tuple[str, int, int, int]
"""Session, room, user and number of a send."""


class Turns:
    """Who waits for which turn to be taken."""

    def __init__(self, *, max_waiting_count: int, patience_s: float) -> None:
        self._max_waiting_count = max_waiting_count
        self._patience_s = patience_s
        self._waits: dict[Turn, set[Wait]] = {}
        self.waiting_count = 0

    def waiting_for(self, turn: Turn) -> Wait:
        """Return a context in which `came` tells whether `turn` was taken, also if that was before `came` is called."""
        return Wait(self, turn)

    def taken(self, turn: Turn) -> None:
        """Let those go on who wait for `turn`: its send is on disk, or was refused for good."""
        for wait in self._waits.get(turn, ()):
            wait.event.set()

    def enter(self, wait: Wait) -> None:
        """Let `wait` be told."""
        self._waits.setdefault(wait.turn, set()).add(wait)

    def leave(self, wait: Wait) -> None:
        """Let `wait` be told no more."""
        others = self._waits[wait.turn]
        others.discard(wait)
        if not others:
            del self._waits[wait.turn]

    async def came(self, wait: Wait) -> bool:
        """Wait for the turn, and return whether it came; at once False if too many wait."""
        if self.waiting_count >= self._max_waiting_count:
            return wait.event.is_set()
        self.waiting_count += 1
        try:
            with anyio.move_on_after(self._patience_s):
                await wait.event.wait()
        finally:
            self.waiting_count -= 1
        return wait.event.is_set()


class Wait:
    """One send's wait for the one before it."""

    def __init__(self, turns: Turns, turn: Turn) -> None:
        self._turns = turns
        self.turn = turn
        self.event = anyio.Event()

    def __enter__(self) -> Self:
        self._turns.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.leave(self)

    async def came(self) -> bool:
        """Wait until the turn is taken, and return whether it was in time."""
        return await self._turns.came(self)

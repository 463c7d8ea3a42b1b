"""What goes wrong with a call to the server of the matrix. Pure: the chance and the time are arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chat.testing.crash_matrix.wire import BROKEN, NOT_LOGGED_IN, OK, TOO_MANY

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

LATEST_S = 0.9
"""The longest that a request is under way: longer than its client waits."""


class Mischief(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one call on its way to the server, there, and on the way back."""

    before_s: float = 0.0
    """How long the request is under way."""
    arrives: bool = True
    arrives_twice: bool = False
    breaks_after: bool = False
    """The server does what it is asked and then answers with an error."""
    after_s: float = 0.0
    answers_count: int = 1
    hangs_up: bool = False
    """Instead of an answer the connection is closed, with all that is under way on it."""


GOOD = Mischief()


def drawn(chance: Random) -> Mischief:
    """Return what happens to the next call; nothing, with most."""
    luck = chance.random()
    for share, made in _SHARES:
        luck -= share
        if luck < 0:
            return made(chance)
    return GOOD


_SHARES: tuple[tuple[float, Callable[[Random], Mischief]], ...] = (
    (0.010, lambda _: Mischief(arrives=False)),
    (0.010, lambda _: Mischief(answers_count=0)),
    (0.020, lambda chance: Mischief(before_s=chance.uniform(0.0, LATEST_S))),
    (0.080, lambda chance: Mischief(after_s=chance.uniform(0.0, 0.1))),
    (0.020, lambda _: Mischief(arrives_twice=True, answers_count=2)),
    (0.010, lambda chance: Mischief(arrives_twice=True, before_s=chance.uniform(0.0, 0.05))),
    (0.020, lambda _: Mischief(answers_count=2)),
    (0.010, lambda _: Mischief(breaks_after=True)),
    (0.001, lambda _: Mischief(hangs_up=True)),
    (0.001, lambda _: Mischief(arrives=False, hangs_up=True)),
)


class Weather:
    """Bursts in which the server answers with 500 or 429, and sessions that end until somebody logs in again."""

    def __init__(self, chance: Random, accounts: list[str], now_s: float) -> None:
        self.is_fair = False
        self.expired: set[str] = set()
        self._chance = chance
        self._accounts = accounts
        self._status = OK
        self._until_s = now_s + chance.uniform(0.0, 1.0)

    def at(self, now_s: float, account: str) -> int:
        """Return what the server says to `account` at `now_s`: `OK`, or the status of an error."""
        if self.is_fair:
            return OK
        while now_s >= self._until_s:
            self._turn()
        return NOT_LOGGED_IN if account in self.expired else self._status

    def log_in(self, account: str) -> None:
        """Begin a session of `account`."""
        self.expired.discard(account)

    def clear_up(self) -> None:
        """Let nothing go wrong from now on."""
        self.is_fair = True
        self.expired.clear()

    def _turn(self) -> None:
        chance = self._chance
        if self._status != OK:
            self._status = OK
            self._until_s += chance.uniform(0.3, 2.0)
            return
        kind = chance.choice((BROKEN, TOO_MANY, NOT_LOGGED_IN))
        if kind == NOT_LOGGED_IN:
            self.expired.add(chance.choice(self._accounts))
            self._until_s += chance.uniform(0.3, 2.0)
        else:
            self._status = kind
            self._until_s += chance.uniform(0.05, 0.4)

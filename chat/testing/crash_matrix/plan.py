"""What a run of the matrix enqueues: who, what, in which order. Pure, and a function of the seed alone.

There are five kinds of action, one for each promise of the queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import msgspec

from chat.queue.actions import ActionType

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLLOWER = "follower"
ACCOUNTS_COUNT = 4
KEYS_COUNT = 40
"""For each kind; each is a lane."""
_LARGE_BODY_CHARS = 20_000
_SMALL_BODY_CHARS = 200
_NEEDS_WITHIN_COUNT = 20

SABOTAGES = {
    "ids": "the transport makes a new client id for each call",
    "calls": "the transport says that an action is done before the server was called",
    "order": "the transport does not wait for one action before it calls the next",
}
"""What can be broken on purpose, to see that the audit finds it."""


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What the actions of the matrix carry."""

    key: str
    name: str
    """Who sent it, and the how manieth it was: what the audit knows it by, whatever becomes of client ids."""
    body: str


class Ordered(Payload, frozen=True, kw_only=True):
    """Done once and in order; when its answer is lost the server is asked."""


class Repeated(Payload, frozen=True, kw_only=True):
    """Done once and in order; when its answer is lost the server is called again."""


class Loose(Payload, frozen=True, kw_only=True):
    """Done once; while it waits for another try those behind it go on. Some are delayed, some need another action."""


class Refused(Payload, frozen=True, kw_only=True):
    """Some of these the server refuses for good: they have to fail, visibly, and the others to be done in order."""


class Guarded(Payload, frozen=True, kw_only=True):
    """Never called again unless the server is known not to have done it; otherwise it is left to the user."""


TYPES = (
    ActionType(
        name="ordered", payload=Ordered, key=("key",), stuck="block", max_attempts=None, base_delay_s=0.05
    ),
    ActionType(
        name="repeated",
        payload=Repeated,
        key=("key",),
        max_attempts=None,
        base_delay_s=0.05,
        on_uncertain="repeat",
    ),
    ActionType(
        name="loose",
        payload=Loose,
        key=("key",),
        stuck="skip",
        max_attempts=None,
        base_delay_s=0.05,
        priority=2,
    ),
    ActionType(
        name="refused",
        payload=Refused,
        key=("key",),
        max_attempts=None,
        base_delay_s=0.05,
        permanent=frozenset({400}),
        priority=0,
    ),
    ActionType(
        name="guarded",
        payload=Guarded,
        key=("key",),
        max_attempts=None,
        base_delay_s=0.05,
        on_uncertain="hold",
    ),
)
IN_ORDER = frozenset({"ordered", "repeated", "refused"})
"""The kinds whose effects have the order in which they were enqueued."""
_KINDS: tuple[tuple[type[Payload], int], ...] = (
    (Ordered, 50),
    (Repeated, 15),
    (Loose, 15),
    (Refused, 10),
    (Guarded, 10),
)
"""With their shares in percent."""
_NAMES = {each.payload: each.name for each in TYPES}


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """An action that is to be enqueued."""

    name: str
    """Also its client id."""
    kind: str
    payload: Payload
    account: str
    delay_s: float | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A run of the matrix.

    Raises:
        ValueError: A number makes no sense; the message says what is allowed.
    """

    action_count: int = 10_000
    process_count: int = 4
    seed: int = 0
    limit_s: float = 600.0
    """After so long nothing more is enqueued (which is an error) and done to anybody; the queue has to become empty."""
    lease_s: float = 1.0
    sabotage: str | None = None
    is_rough: bool = True
    """Processes are killed, frozen and stopped, and the server is bad."""

    def __post_init__(self) -> None:
        if self.process_count < 1 or self.action_count < self.process_count + 1:
            raise ValueError("at least 1 process and 1 action for each and for the follower are needed")
        if self.limit_s <= 0 or self.lease_s <= 0:
            raise ValueError("the limit and the lease are numbers of seconds above 0")
        if self.sabotage is not None and self.sabotage not in SABOTAGES:
            raise ValueError(f"{self.sabotage!r} can't be broken; there are {', '.join(SABOTAGES)}")

    @property
    def longest_life_s(self) -> float:
        """How long a process lives at most: longer in a longer run, since what a kill leaves costs time to settle."""
        return min(10.0, 2.0 + self.action_count / 10_000)

    def senders(self) -> list[str]:
        """Return the names of all who enqueue, the follower last."""
        return [f"worker-{number}" for number in range(1, self.process_count + 1)] + [FOLLOWER]

    def count_of(self, sender: str) -> int:
        """Return how many actions `sender` enqueues."""
        senders = self.senders()
        share, rest = divmod(self.action_count, len(senders))
        return share + (senders.index(sender) < rest)

    def planned(self, sender: str, number: int) -> Planned:
        """Return the action that `sender` enqueues as its `number`th, from 0."""
        chance = Random(f"{self.seed}/{sender}/{number}")  # noqa: S311 - no secret
        payload_type = _drawn(chance)
        kind = _NAMES[payload_type]
        key_number = chance.randrange(KEYS_COUNT)
        most_chars = _LARGE_BODY_CHARS if chance.random() < 0.005 else _SMALL_BODY_CHARS  # noqa: PLR2004 - a share
        body = "x" * chance.randrange(most_chars)
        name = name_of(sender, number)
        delay_s: float | None = None
        needs: tuple[str, ...] = ()
        if kind == "loose":
            luck = chance.random()
            if luck < 0.1:  # noqa: PLR2004 - a share
                delay_s = chance.uniform(0.01, 0.3)
            elif luck < 0.3:  # noqa: PLR2004 - a share
                needs = self._ordered_before(sender, number)
        return Planned(
            name=name,
            kind=kind,
            payload=payload_type(key=f"key-{key_number}", name=name, body=body),
            account=f"account-{key_number % ACCOUNTS_COUNT}",
            delay_s=delay_s,
            needs=needs,
        )

    def all(self) -> Iterator[Planned]:
        """Yield all actions, sender by sender, each in the order of enqueueing."""
        for sender in self.senders():
            for number in range(self.count_of(sender)):
                yield self.planned(sender, number)

    def _ordered_before(self, sender: str, number: int) -> tuple[str, ...]:
        for earlier in range(number - 1, max(-1, number - _NEEDS_WITHIN_COUNT), -1):
            if _drawn(Random(f"{self.seed}/{sender}/{earlier}")) is Ordered:  # noqa: S311 - no secret
                return (name_of(sender, earlier),)
        return ()


def name_of(sender: str, number: int) -> str:
    """Return what the `number`th action of `sender` is called."""
    return f"{sender}/{number}"


def is_refused(name: str) -> bool:
    """Return whether the server refuses the action `name` for good, if it is of that kind."""
    return Random(f"refused/{name}").random() < 0.2  # noqa: S311, PLR2004 - no secret; a share


def accounts() -> list[str]:
    """Return the names of all accounts."""
    return [f"account-{number}" for number in range(ACCOUNTS_COUNT)]


def _drawn(chance: Random) -> type[Payload]:
    return chance.choices([kind for kind, _ in _KINDS], [share for _, share in _KINDS])[0]

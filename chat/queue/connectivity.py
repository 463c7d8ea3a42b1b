"""Whether there is contact with the server, and what that lets the queue do. Pure.

Contact is lost when a handler says so (`Unreachable`), or when the caller does; it is found again when any handler gets
any answer, when the probe does, or when the caller says so. Without contact nothing is delivered and no attempt is
used, except that now and then the queue knocks: one action (or the probe) is tried, after ever longer waits. When
contact is found, all that is due goes out at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from chat.errors import Failure

_MOST_DOUBLINGS = 32
_SAID_BY_SERVERS = frozenset({"rate", "auth", "conflict", "target_gone"})


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands."""

    is_online: bool = True
    is_held: bool = False
    """The caller said that there is none; then nobody knocks."""
    misses: int = 0
    """Tries without contact, one after the other."""
    knock_ms: int = 0
    """When to try again, in boot time."""

    def may_deliver(self) -> bool:
        """Return whether whatever is due may be delivered."""
        return self.is_online and not self.is_held

    def may_knock(self, now_ms: int) -> bool:
        """Return whether it is time to see if there is contact again."""
        return not self.is_online and not self.is_held and now_ms >= self.knock_ms


def is_answer(failure: Failure | None, *, is_done: bool) -> bool:
    """Return whether what became of an action shows that the server spoke; not all that ends was ever sent."""
    if failure is None:
        return is_done
    return failure.status is not None or failure.kind in _SAID_BY_SERVERS


def missed(contact: Contact, now_ms: int, *, first_ms: int, most_ms: int, chance: float) -> Contact:
    """Return how it stands after a try that found no contact; `chance` (0 to 1) is for the jitter."""
    misses = contact.misses + 1
    bound_ms = min(most_ms, first_ms * 2 ** min(misses - 1, _MOST_DOUBLINGS))
    wait_ms = int(bound_ms * (0.5 + chance / 2))
    return replace(contact, is_online=False, misses=misses, knock_ms=now_ms + wait_ms)


def found(contact: Contact) -> Contact:
    """Return how it stands after the server answered, whatever it said."""
    return contact if contact.is_online else replace(contact, is_online=True, misses=0)


def held(contact: Contact) -> Contact:
    """Return how it stands after the caller said that there is no contact."""
    return replace(contact, is_held=True)


def let_go() -> Contact:
    """Return how it stands after the caller said that there is contact."""
    return Contact()

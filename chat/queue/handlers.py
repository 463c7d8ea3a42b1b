"""Who delivers actions, and what they are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from chat.queue.action_type import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chat.queue.actions import ActionTypes


class Delivery(msgspec.Struct, frozen=True):
    """One try to deliver an action."""

    client_id: str
    """Tells the server which action this is, however often it comes."""
    type: str
    payload: Any
    """A struct of the type's payload class."""
    account: str
    attempt: int
    """1 for the first try."""
    created_at_ms: int
    together: tuple[str, ...] = ()
    """Client ids of those of its lane that are under way at once, in their order, its own among them; none: it is alone."""


@dataclass(frozen=True, slots=True)
class Route:
    """How actions of one type are delivered."""

    deliver: Callable[[Delivery], Awaitable[Any]]
    """Has the server do the action, and returns its answer, which JSON can carry; raises a `DeliveryError`."""
    ask: Callable[[Delivery], Awaitable[Any]] | None = None
    """Returns the server's stored answer to the action, None if it has never seen it; raises a `DeliveryError`."""
    joins: Callable[[Any, Sequence[str]], bool] | None = None
    """Tells whether an action with this payload may be under way while those with these client ids, which stand before it
    in its lane, still are; None: never. Whoever allows it keeps the order (`Delivery.together`), whatever overtakes what,
    and does none whose predecessor was not done or refused."""


class Transport(Protocol):
    """Delivers actions of all types."""

    async def deliver(self, delivery: Delivery) -> Any:
        """Have the server do the action and return its answer.

        Raises:
            DeliveryError: It did not, or nobody knows.
        """

    async def ask(self, delivery: Delivery) -> Any:
        """Return the server's stored answer to the action, None if it has never seen it.

        Raises:
            DeliveryError: The question got no answer, or the action was refused.
        """


class Handlers:
    """The routes of one queue, by action type."""

    def __init__(self, types: ActionTypes) -> None:
        self._types = types
        self._routes: dict[str, Route] = {}
        self._topics: tuple[tuple[str, int], ...] = ()

    def add(self, name: str, route: Route) -> None:
        """Deliver actions of the type `name` by `route` from now on.

        Raises:
            UnknownActionType: There is no such type.
        """
        self._types.named(name)
        self._routes[name] = route
        found = dict.fromkeys(kind.lane_topic for kind in self._types if kind.name in self._routes)
        self._topics = tuple((topic, priority) for topic in found for priority in PRIORITIES)

    def find(self, name: str) -> Route | None:
        """Return the route of the type `name`, if it has one."""
        return self._routes.get(name)

    def handles(self, name: str) -> bool:
        """Return whether the type `name` has a route."""
        return name in self._routes

    def topics(self) -> tuple[tuple[str, int], ...]:
        """Return the topics, with their priorities, of which at least one type has a route."""
        return self._topics

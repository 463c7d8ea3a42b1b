"""What kinds of action a queue knows: the built-in ones and those that a program registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.errors import UnknownActionType
from chat.queue.action_type import ActionType
from chat.queue.built_in import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import msgspec

__all__ = ["BUILT_IN", "ActionType", "ActionTypes"]


class ActionTypes:
    """The types that a queue knows: the built-in ones and those registered with it."""

    def __init__(self, types: Iterable[ActionType] = BUILT_IN) -> None:
        self._by_name: dict[str, ActionType] = {}
        self._by_payload: dict[type, ActionType] = {}
        for each in types:
            self.add(each)

    def __iter__(self) -> Iterator[ActionType]:
        return iter(self._by_name.values())

    def add(self, action_type: ActionType) -> None:
        """Know `action_type`, which replaces the one of its name.

        Raises:
            ValueError: Another type has the same payload.
        """
        other = self._by_payload.get(action_type.payload)
        if other is not None and other.name != action_type.name:
            raise ValueError(f"{action_type.payload.__name__} is the payload of {other.name}")
        replaced = self._by_name.get(action_type.name)
        if replaced is not None:
            del self._by_payload[replaced.payload]
        self._by_name[action_type.name] = action_type
        self._by_payload[action_type.payload] = action_type

    def named(self, name: str) -> ActionType:
        """Return the type `name`.

        Raises:
            UnknownActionType: There is none.
        """
        found = self._by_name.get(name)
        if found is None:
            raise UnknownActionType(f"there is no action type {name!r}; register it first")
        return found

    def find(self, name: str) -> ActionType | None:
        """Return the type `name`, None if it is not known."""
        return self._by_name.get(name)

    def of(self, payload: msgspec.Struct) -> ActionType:
        """Return the type whose payload this is.

        Raises:
            UnknownActionType: There is none.
        """
        found = self._by_payload.get(type(payload))
        if found is None:
            raise UnknownActionType(
                f"{type(payload).__name__} is no action's payload; register its type first"
            )
        return found

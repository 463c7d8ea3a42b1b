"""What the chat server does with each action, as a plain value: the judge of coalescing and of the crash matrix."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from chat.queue import payloads


@dataclass
class ServerModel:
    """The state of a server that one account speaks to; doing an action again changes nothing more."""

    messages: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set, compare=False)
    """Remembered, but nobody sees them."""
    reactions: set[tuple[str, str]] = field(default_factory=set)
    pins: set[str] = field(default_factory=set)
    config: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    spaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    member_of: set[str] = field(default_factory=set)
    members: set[tuple[str, str]] = field(default_factory=set)
    muted: set[tuple[str, str]] = field(default_factory=set)
    keys: dict[str, str] = field(default_factory=dict)

    def copy(self) -> ServerModel:
        return deepcopy(self)

    def apply(self, client_id: str, payload: Any) -> None:  # noqa: PLR0912 - one branch a kind
        match payload:
            case payloads.SendMessage(content=content):
                if client_id not in self.deleted:
                    self.messages.setdefault(client_id, content)
            case payloads.EditMessage(message_id=message, content=content):
                if message in self.messages:
                    self.messages[message] = content
            case payloads.DeleteMessage(message_id=message):
                if self.messages.pop(message, None) is not None:
                    self.deleted.add(message)
                self.reactions = {each for each in self.reactions if each[0] != message}
                self.pins.discard(message)
            case payloads.React(message_id=message, emoji=emoji, is_on=is_on):
                if message in self.messages:
                    _set(self.reactions, (message, emoji), is_on)
            case payloads.PinMessage(message_id=message) | payloads.UnpinMessage(message_id=message):
                if message in self.messages:
                    _set(self.pins, message, isinstance(payload, payloads.PinMessage))
            case payloads.SaveUserConfig(fields=fields):
                self.config.update(fields)
            case payloads.UpdateProfile(fields=fields):
                self.profile.update(fields)
            case payloads.UpdateSpace(space_id=space, fields=fields):
                if space in self.member_of:
                    self.spaces.setdefault(space, {}).update(fields)
            case payloads.KickUser(space_id=space, user_id=user):
                self.members.discard((space, user))
            case (
                payloads.MuteUser(space_id=space, user_id=user)
                | payloads.UnmuteUser(space_id=space, user_id=user)
            ):
                if (space, user) in self.members:
                    _set(self.muted, (space, user), isinstance(payload, payloads.MuteUser))
            case payloads.SyncSpaceKeys(keys=keys):
                self.keys = keys
            case payloads.JoinSpace(space_id=space) | payloads.LeaveSpace(space_id=space):
                _set(self.member_of, space, isinstance(payload, payloads.JoinSpace))

    def sees(self, payload: Any) -> bool | None:
        """Return how the thing stands that `payload` would toggle, None for other actions."""
        match payload:
            case payloads.React(message_id=message, emoji=emoji):
                return (message, emoji) in self.reactions
            case payloads.PinMessage(message_id=message) | payloads.UnpinMessage(message_id=message):
                return message in self.pins
            case (
                payloads.MuteUser(space_id=space, user_id=user)
                | payloads.UnmuteUser(space_id=space, user_id=user)
            ):
                return (space, user) in self.muted
            case payloads.JoinSpace(space_id=space) | payloads.LeaveSpace(space_id=space):
                return space in self.member_of
        return None


def _set(things: set[Any], thing: Any, is_on: bool) -> None:
    if is_on:
        things.add(thing)
    else:
        things.discard(thing)

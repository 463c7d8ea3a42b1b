"""What kinds of action there are, and the rules of each: one declaration, from which everything else follows.

An action type says in which lane its actions wait for each other, what a lane does when its head is stuck, how often
and when a try is repeated, which refusals are final, what several pending actions become, and what the user is told.

Lanes are per topic: `messages`, `config` and `keys` of one account wait for nothing of each other. `block` holds the
lane until somebody retries or cancels the head; `park` gives the head up, visibly, and goes on; `skip` does too, and
does not even hold the lane while it waits to try again; `supersede` leaves it to the next of its kind; `expire` gives
it up without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from chat.errors import InvalidAction, UnknownActionType
from chat.queue import payloads
from chat.queue.retries import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Stuck = Literal["block", "park", "skip", "supersede", "expire"]
Coalescing = Literal["none", "edit", "delete", "toggle", "fields", "replace"]
OnTargetGone = Literal["fail", "drop", "succeed"]
OnUncertain = Literal["ask", "repeat", "hold"]

HIGH, MIDDLE, LOW = 0, 1, 2
PRIORITIES = (HIGH, MIDDLE, LOW)

_REFUSED = frozenset({400, 403, 404})
_NOT_FOUND = frozenset({404})
_INVALID = frozenset({400, 422})
_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionType:
    """One kind of action.

    Raises:
        ValueError: The parts don't fit together; the message says how.
    """

    name: str
    payload: type[msgspec.Struct]
    topic: str = ""
    """Lanes of different topics have nothing to do with each other; its own name if empty."""
    key: tuple[str, ...] = ()
    """The payload's fields that make the lane, beside topic and account."""
    stuck: Stuck = "park"
    blocks_on_conflict: bool = False
    """A conflict blocks the lane, whatever `stuck` says of other failures."""
    max_attempts: int | None = 3
    base_delay_s: float = 2.0
    permanent: frozenset[int] | None = None
    """The statuses of a refusal that are final; others are tried again. None: every refusal is final."""
    on_target_gone: OnTargetGone = "fail"
    """What it means that its target is gone, or already as it should be."""
    on_uncertain: OnUncertain = "ask"
    """What is done about a call whose answer is unknown: ask the server, call again, or leave it to the user."""
    coalescing: Coalescing = "none"
    subject: tuple[str, ...] = ()
    """The fields that say what it is about; pending actions of one topic and subject may be coalesced."""
    coalesces_across: bool = True
    """It may be coalesced past other actions of its lane: its effect does not depend on theirs, nor theirs on it."""
    is_on: bool | None = None
    """Of a type that toggles: which way; None if its payload says so."""
    target: str | None = None
    """The field that holds the client id of the message that it is about."""
    waits_for_target: bool = False
    """It has a lane of its own, and must not be delivered before its target; where both share a lane, order does it."""
    debounce_s: float = 0.0
    """It waits this long for more of its kind, and at most four times as long altogether."""
    expires_after_s: float | None = None
    """After this long it is pointless."""
    priority: int = MIDDLE
    success_notice: str | None = None
    failure_notice: str | None = None
    version: int = 1
    """Of the payload's form."""
    upcasters: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    """By version: what makes the next version's plain payload of it; one for each version below the present one."""

    def __post_init__(self) -> None:
        fields = set(self.payload.__struct_fields__)
        named = {*self.key, *self.subject, *([self.target] if self.target else [])}
        if not named <= fields:
            missing = ", ".join(sorted(named - fields))
            raise ValueError(f"{self.name}: the payload has no field {missing}")
        if set(self.upcasters) != set(range(1, self.version)):
            raise ValueError(
                f"{self.name}: version {self.version} needs an up-caster for each version before it"
            )
        if self.priority not in PRIORITIES:
            raise ValueError(f"{self.name}: priority is {self.priority}; allowed are {PRIORITIES}")
        if self.coalescing not in {"none", "delete"} and not self.subject and self.key:
            raise ValueError(f"{self.name}: what is coalesced needs a subject")
        self.retries()

    @property
    def lane_topic(self) -> str:
        """The topic of its lanes."""
        return self.topic or self.name

    def retries(
        self,
        *,
        max_attempts: int | None = None,
        max_delay_s: float = 300.0,
        max_retry_after_s: float = _DAY_S,
    ) -> RetryPolicy:
        """Return how its tries are repeated; `max_attempts` is what one action says for itself."""
        return RetryPolicy(
            max_attempts=self.max_attempts if max_attempts is None else max_attempts,
            base_delay_s=min(self.base_delay_s, max_delay_s),
            max_delay_s=max_delay_s,
            max_retry_after_s=max_retry_after_s,
        )

    def lane_of(self, payload: msgspec.Struct, account: str) -> str:
        """Return the key of the lane that `payload` waits in."""
        return _joined(self.lane_topic, account, [getattr(payload, name) for name in self.key])

    def subject_of(self, payload: msgspec.Struct, account: str) -> str | None:
        """Return what tells the actions that `payload` may be coalesced with, None if there are none."""
        if self.coalescing == "none":
            return None
        about = f"{self.lane_topic}:{self.coalescing}"
        return _joined(about, account, [getattr(payload, name) for name in self.subject])


_MESSAGE = ("room_id", "message_id")

BUILT_IN: tuple[ActionType, ...] = (
    ActionType(
        name="send-message",
        payload=payloads.SendMessage,
        topic="messages",
        key=("room_id",),
        stuck="park",
        base_delay_s=1.0,
        permanent=_REFUSED,
        on_target_gone="drop",
        priority=HIGH,
    ),
    ActionType(
        name="edit-message",
        payload=payloads.EditMessage,
        topic="messages",
        key=("room_id",),
        stuck="skip",
        permanent=_NOT_FOUND,
        on_target_gone="drop",
        coalescing="edit",
        subject=_MESSAGE,
        target="message_id",
        priority=HIGH,
        failure_notice="Failed to edit message",
    ),
    ActionType(
        name="delete-message",
        payload=payloads.DeleteMessage,
        topic="messages",
        key=("room_id",),
        stuck="skip",
        max_attempts=None,
        permanent=frozenset(),
        on_target_gone="succeed",
        coalescing="delete",
        subject=_MESSAGE,
        target="message_id",
        priority=HIGH,
        failure_notice="Failed to delete message",
    ),
    ActionType(
        name="reaction",
        payload=payloads.React,
        topic="reactions",
        key=_MESSAGE,
        stuck="expire",
        permanent=_NOT_FOUND,
        on_target_gone="drop",
        coalescing="toggle",
        subject=(*_MESSAGE, "emoji"),
        target="message_id",
        waits_for_target=True,
        expires_after_s=_DAY_S,
    ),
    ActionType(
        name="pin-message",
        payload=payloads.PinMessage,
        topic="pins",
        key=_MESSAGE,
        stuck="supersede",
        permanent=_NOT_FOUND,
        on_target_gone="drop",
        coalescing="toggle",
        subject=_MESSAGE,
        is_on=True,
        target="message_id",
        waits_for_target=True,
        failure_notice="Failed to pin message",
    ),
    ActionType(
        name="unpin-message",
        payload=payloads.UnpinMessage,
        topic="pins",
        key=_MESSAGE,
        stuck="supersede",
        permanent=_NOT_FOUND,
        on_target_gone="drop",
        coalescing="toggle",
        subject=_MESSAGE,
        is_on=False,
        target="message_id",
        waits_for_target=True,
        failure_notice="Failed to unpin message",
    ),
    ActionType(
        name="save-user-config",
        payload=payloads.SaveUserConfig,
        topic="config",
        stuck="supersede",
        permanent=_INVALID,
        coalescing="fields",
        debounce_s=0.5,
        priority=LOW,
        failure_notice="Failed to save settings",
    ),
    ActionType(
        name="update-profile",
        payload=payloads.UpdateProfile,
        topic="profile",
        stuck="supersede",
        permanent=_INVALID,
        coalescing="fields",
        priority=LOW,
        failure_notice="Failed to save profile",
    ),
    ActionType(
        name="update-space",
        payload=payloads.UpdateSpace,
        topic="space",
        key=("space_id",),
        stuck="supersede",
        blocks_on_conflict=True,
        permanent=frozenset({403, 404}),
        on_target_gone="drop",
        coalescing="fields",
        subject=("space_id",),
        coalesces_across=False,
        priority=LOW,
        success_notice="Space settings saved",
        failure_notice="Failed to save space settings",
    ),
    ActionType(
        name="kick-user",
        payload=payloads.KickUser,
        topic="moderation",
        key=("space_id", "user_id"),
        stuck="skip",
        permanent=frozenset({403, 404}),
        on_target_gone="succeed",
        success_notice="User removed",
        failure_notice="Failed to remove user",
    ),
    ActionType(
        name="mute-user",
        payload=payloads.MuteUser,
        topic="moderation",
        key=("space_id", "user_id"),
        stuck="supersede",
        permanent=frozenset({403}),
        coalescing="toggle",
        subject=("space_id", "user_id"),
        coalesces_across=False,
        is_on=True,
        success_notice="User muted",
        failure_notice="Failed to mute user",
    ),
    ActionType(
        name="unmute-user",
        payload=payloads.UnmuteUser,
        topic="moderation",
        key=("space_id", "user_id"),
        stuck="supersede",
        permanent=frozenset({403}),
        coalescing="toggle",
        subject=("space_id", "user_id"),
        coalesces_across=False,
        is_on=False,
        success_notice="User unmuted",
        failure_notice="Failed to unmute user",
    ),
    ActionType(
        name="sync-space-keys",
        payload=payloads.SyncSpaceKeys,
        topic="keys",
        stuck="block",
        permanent=_INVALID,
        on_target_gone="drop",
        coalescing="replace",
        priority=LOW,
        failure_notice="Failed to sync keys",
    ),
    ActionType(
        name="join-space",
        payload=payloads.JoinSpace,
        topic="space",
        key=("space_id",),
        stuck="block",
        permanent=frozenset({403, 404}),
        on_target_gone="succeed",
        coalescing="toggle",
        subject=("space_id",),
        coalesces_across=False,
        is_on=True,
        failure_notice="Failed to join space",
    ),
    ActionType(
        name="leave-space",
        payload=payloads.LeaveSpace,
        topic="space",
        key=("space_id",),
        stuck="block",
        permanent=frozenset({403, 404}),
        on_target_gone="succeed",
        coalescing="toggle",
        subject=("space_id",),
        coalesces_across=False,
        is_on=False,
        failure_notice="Failed to leave space",
    ),
)
"""The chat's own actions."""


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


def _joined(topic: str, account: str, parts: Iterable[object]) -> str:
    return "/".join([topic, _escaped(account), *(_escaped(_text(part)) for part in parts)])


def _text(part: object) -> str:
    if isinstance(part, bool) or not isinstance(part, (str, int)):
        raise InvalidAction(f"a part of a lane's key is a text or a whole number, not {type(part).__name__}")
    return str(part)


def _escaped(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F") if "/" in part or "%" in part else part

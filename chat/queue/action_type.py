"""How one kind of action is declared: its lane, what a stuck lane does, its tries, what pending ones become, its words.

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

from chat.errors import InvalidAction
from chat.queue.retries import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import msgspec

Stuck = Literal["block", "park", "skip", "supersede", "expire"]
Coalescing = Literal["none", "edit", "delete", "toggle", "fields", "replace"]
OnTargetGone = Literal["fail", "drop", "succeed"]
OnUncertain = Literal["ask", "repeat", "hold"]

HIGH, MIDDLE, LOW = 0, 1, 2
PRIORITIES = (HIGH, MIDDLE, LOW)

_DAY_S = 86_400.0
_COALESCED_FIELDS: dict[Coalescing, tuple[str, ...]] = {
    "none": (),
    "edit": ("message_id", "content"),
    "delete": ("message_id",),
    "toggle": ("was",),
    "fields": ("fields", "base_version"),
    "replace": (),
}


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
        wanted = {*_COALESCED_FIELDS[self.coalescing]}
        if self.coalescing == "toggle" and self.is_on is None:
            wanted.add("is_on")
        if not wanted <= fields:
            missing = ", ".join(sorted(wanted - fields))
            raise ValueError(
                f"{self.name}: to be coalesced so ({self.coalescing}) the payload needs {missing}"
            )
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


def parts_of(lane_key: str) -> list[str]:
    """Return what the key of a lane was made of: topic, account, and the payload's fields as texts."""
    return [part.replace("%2F", "/").replace("%25", "%") for part in lane_key.split("/")]


def _joined(topic: str, account: str, parts: Iterable[object]) -> str:
    texts = [topic, account, *[part if type(part) is str else _text(part) for part in parts]]
    joined = "/".join(texts)
    if "%" not in joined and joined.count("/") == len(texts) - 1:  # nothing is to be escaped
        return joined
    return "/".join([topic, *map(_escaped, texts[1:])])


def _text(part: object) -> str:
    if isinstance(part, bool) or not isinstance(part, (str, int)):
        raise InvalidAction(f"a part of a lane's key is a text or a whole number, not {type(part).__name__}")
    return str(part)


def _escaped(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F") if "/" in part or "%" in part else part

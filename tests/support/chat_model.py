"""What a space with one room has to be after any deeds: a model in plain Python, and the deeds on both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from chat.domain.permissions import ADDING, Deed, Rank, may, may_act_on, may_give
from chat.domain.refusals import Gone, Muted, NotFound, NotPermitted
from chat.domain.rooms import RoomFields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.chat_domain import ChatBench

Refusal = type[Exception] | None
Kind = Literal[
    "send",
    "edit",
    "delete",
    "react",
    "unreact",
    "pin",
    "unpin",
    "join",
    "leave",
    "kick",
    "mute",
    "unmute",
    "role",
    "archive",
    "revive",
]


_DEEDS: Final[dict[Kind, Deed]] = {
    "edit": "edit_own",
    "delete": "delete_others",
    "react": "react",
    "unreact": "react",
    "pin": "pin",
    "unpin": "pin",
    "kick": "kick",
    "mute": "mute",
    "unmute": "mute",
    "role": "change_roles",
    "archive": "manage_rooms",
    "revive": "manage_rooms",
}


@dataclass(frozen=True)
class Step:
    """A deed: who does it, and to which of the messages and users there are by then."""

    kind: Kind
    by: int
    target: int
    text: str
    rank: Rank


@dataclass
class Message:
    """A message as it should be."""

    id: str
    sender: int
    content: str | None
    before: list[str] = field(default_factory=list)
    reactions: set[tuple[str, int]] = field(default_factory=set)
    is_pinned: bool = False


@dataclass
class Space:
    """The space as it should be."""

    members: dict[int, Rank]
    muted: set[int] = field(default_factory=set)
    is_archived: bool = False
    messages: list[Message] = field(default_factory=list)

    def expected(self, step: Step, user: int, other: int, message: Message | None) -> Refusal:
        """Return how a deed is refused, None if it is not."""
        rank = self.members.get(user)
        if step.kind in {"join", "leave"}:
            return NotPermitted if step.kind == "leave" and self._is_last_owner(user) else None
        if rank is None:
            return NotFound
        if step.kind == "send":
            return self._added("send", user)
        if step.kind in {"kick", "mute", "unmute", "role", "archive", "revive"}:
            return self._ruled(step, rank, other)
        return NotFound if message is None else self._changed(step, user, rank, message)

    def _is_last_owner(self, user: int) -> bool:
        owners = [each for each, rank in self.members.items() if rank == Rank.OWNER]
        return owners == [user]

    def _ruled(self, step: Step, rank: Rank, other: int) -> Refusal:
        deed = _DEEDS[step.kind]
        theirs = self.members.get(other)
        if not may(rank, deed):
            return NotPermitted
        if theirs is None or deed == "manage_rooms":
            return NotFound if step.kind in {"mute", "role"} else None
        if step.kind != "role":
            return None if may_act_on(rank, theirs) else NotPermitted
        is_last = self._is_last_owner(other) and step.rank != Rank.OWNER
        return NotPermitted if is_last or not may_give(rank, theirs, step.rank) else None

    def _changed(self, step: Step, user: int, rank: Rank, message: Message) -> Refusal:
        is_own = message.sender == user
        deed = _DEEDS[step.kind]
        is_own = message.sender == user
        if (step.kind == "edit" and not is_own) or not (
            may(rank, deed) or (is_own and step.kind == "delete")
        ):
            return NotPermitted
        if step.kind in {"delete", "unreact", "unpin"}:
            return None
        return Gone if message.content is None else self._added(deed, user)

    def _added(self, deed: Deed, user: int) -> Refusal:
        assert deed in ADDING
        if self.is_archived:
            return NotPermitted
        return Muted if user in self.muted else None

    def apply(self, step: Step, user: int, other: int, message: Message | None) -> None:
        """Do what is not refused."""
        match step.kind, message:
            case "edit", Message(content=str() as content) if content != step.text:
                message.before.append(content)
                message.content = step.text
            case "delete", Message(content=str()):
                message.content, message.before, message.is_pinned = None, [], False
                message.reactions.clear()
            case "react", Message():
                message.reactions.add((step.text[:1], user))
            case "unreact", Message():
                message.reactions.discard((step.text[:1], user))
            case (("pin" | "unpin"), Message()):
                message.is_pinned = step.kind == "pin"
            case "join", _:
                self.members.setdefault(user, Rank.MEMBER)
            case "leave", _:
                self.members.pop(user, None)
            case "kick", _:
                self.members.pop(other, None)
            case "mute", _:
                self.muted.add(other)
            case "unmute", _:
                self.muted.discard(other)
            case "role", _:
                self.members[other] = step.rank
            case (("archive" | "revive"), _):
                self.is_archived = step.kind == "archive"


def deed_of(
    bench: ChatBench, step: Step, user: int, other: int, message: str, *, client_id: str
) -> Awaitable[Any]:
    """Return the call that does a deed."""
    chat, space, text = bench.chat, bench.space, step.text
    messages, moderation = chat.messages, chat.moderation
    emoji, archived = text[:1], RoomFields(is_archived=step.kind == "archive")
    ways: dict[Kind, Callable[[], Awaitable[Any]]] = {
        "send": lambda: bench.send(text, sender=user, client_id=client_id),
        "edit": lambda: messages.edit(user, client_id, message, text),
        "delete": lambda: messages.delete(user, client_id, message),
        "react": lambda: messages.react(user, client_id, message, emoji, is_on=True),
        "unreact": lambda: messages.react(user, client_id, message, emoji, is_on=False),
        "pin": lambda: messages.pin(user, client_id, message, is_on=True),
        "unpin": lambda: messages.pin(user, client_id, message, is_on=False),
        "join": lambda: chat.members.join(user, client_id, space),
        "leave": lambda: chat.members.leave(user, client_id, space),
        "kick": lambda: moderation.kick(user, client_id, space, other),
        "mute": lambda: moderation.mute(user, client_id, space, other),
        "unmute": lambda: moderation.unmute(user, client_id, space, other),
        "role": lambda: chat.members.change_role(user, client_id, space, other, step.rank),
        "archive": lambda: chat.rooms.update(user, client_id, bench.room, archived),
        "revive": lambda: chat.rooms.update(user, client_id, bench.room, archived),
    }
    return ways[step.kind]()

"""What the server says over the WebSocket, one form for all of it, and the border at which nonsense is told from it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from chat.client.errors_of import WireError
from chat.client.views import StreamEvent
from chat.errors import AnswerLost

T = TypeVar("T")


class Draining(msgspec.Struct, frozen=True):
    """The server stops."""

    resume_after_ms: int = 1_000


class StreamsEnded(msgspec.Struct, frozen=True):
    """The server tells of streams no more."""

    streams: list[str]
    reason: str


class Said(msgspec.Struct, frozen=True):
    """A message of the server; one of its parts is there."""

    id: int | None = None
    """Of the command that this answers."""
    ok: Any = msgspec.UNSET
    error: WireError | None = None
    event: StreamEvent | None = None
    drain: dict[str, Any] | None = None
    ended: StreamsEnded | None = None
    typing: dict[str, Any] | None = None
    presence: dict[str, Any] | None = None


def as_told(answer: Any, form: type[T]) -> T:
    """Return an answer of the server in the form that it should have.

    Raises:
        AnswerLost: It has another one: this is no chat server, or a broken one.
    """
    try:
        return msgspec.convert(answer, form)
    except msgspec.ValidationError as error:
        raise AnswerLost(f"the server said something else: {error}", code="garbled") from error

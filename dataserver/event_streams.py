"""Server-Sent Events: how one is written, where a client that comes back goes on, and when a stream says it is alive.

A stream ends when the server drains (its client comes back to the next one), or when its client leaves. It holds no
more than the piece that is on its way: whoever reads slowly holds up its own stream alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import storage
from dataserver.answers import Answer
from dataserver.refusals import InvalidParameter
from dataserver.route import Parameter
from dataserver.wire import json_bytes

if TYPE_CHECKING:
    from dataserver.exchange import Exchange

EVENT_STREAM: Final = b"text/event-stream"
HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
)
COMES_BACK_AFTER: Final = b"retry: 1000\n\n"
"""How soon a client that lost the connection tries again, in milliseconds."""
HEARTBEAT: Final = b":\n\n"
HEARTBEAT_S: Final = 15.0
_LEAST_HEARTBEAT_MS: Final = 100
_MOST_HEARTBEAT_MS: Final = 60_000
TRY_AGAIN_S: Final = 1.0
"""How long a stream waits when the workers have too much to do."""
PASSING: Final = (storage.StorageSaturated, storage.StorageUnavailable, storage.QueryTimedOut)
"""What a stream outlives."""

HEARTBEAT_PARAMETER: Final = Parameter(
    name="heartbeat_ms", type="integer", says="How often a stream without news says that it is alive."
)


def event(kind: str, data: Any, *, cursor: storage.Cursor | None = None) -> bytes:
    """Return one event; `cursor` is what the client sends as `Last-Event-ID` when it comes back."""
    return event_bytes(kind, json_bytes(data), cursor=cursor)


def event_bytes(kind: str, data: bytes, *, cursor: storage.Cursor | None = None) -> bytes:
    """Return one event whose data is JSON without line breaks."""
    head = b"" if cursor is None else b"id: %b\n" % str(cursor).encode()
    return b"%bevent: %b\ndata: %b\n\n" % (head, kind.encode(), data)


def begin_at(exchange: Exchange) -> storage.Cursor | None:
    """Return where the client goes on: `Last-Event-ID` before `?since=`, for it is sent at the same address again.

    Raises:
        InvalidParameter: It is no cursor.
    """
    text = exchange.headers.get(b"last-event-id", b"").decode("latin-1") or exchange.parameter("since")
    if not text:
        return None
    try:
        return storage.Cursor.parse(text)
    except ValueError as error:
        raise InvalidParameter(str(error)) from error


def heartbeat_s(exchange: Exchange) -> float:
    """Return how often a stream without news says that it is alive.

    Raises:
        InvalidParameter: It is no number of milliseconds, or not one that is allowed.
    """
    text = exchange.parameter("heartbeat_ms")
    if text is None:
        return HEARTBEAT_S
    if not (text.isdecimal() and len(text) < 6 and _LEAST_HEARTBEAT_MS <= int(text) <= _MOST_HEARTBEAT_MS):  # noqa: PLR2004 - digits
        raise InvalidParameter(
            f"heartbeat_ms is {text!r}; {_LEAST_HEARTBEAT_MS} to {_MOST_HEARTBEAT_MS} are allowed"
        )
    return int(text) / 1000


def head_answer(exchange: Exchange) -> Answer | None:
    """Return the answer to HEAD, which has no stream behind it; None for another method."""
    return Answer(b"", 200, EVENT_STREAM, HEADERS) if exchange.scope["method"] == "HEAD" else None


class Pulse:
    """When a stream has to say that it is alive."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_at = time.monotonic() + every_s

    @property
    def left_s(self) -> float:
        """How long it may still be silent."""
        return max(0.0, self._due_at - time.monotonic())

    def beat(self) -> None:
        """Take note that something was sent."""
        self._due_at = time.monotonic() + self._every_s

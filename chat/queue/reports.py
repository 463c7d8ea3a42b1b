"""What is reported of a try, and its texts in a form that can be stored, whatever a server or a handler said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from msgspec.structs import replace

from chat.queue.records import Claimed
from chat.queue.states import Verdict

if TYPE_CHECKING:
    from chat.errors import Failure

MAX_TEXT_CHARS = 2_000
"""Of what a failed try said; the rest is cut off."""
MAX_RESULT_BYTES = 1024 * 1024
"""An answer that is larger reaches whoever waits for it, and is not stored."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")
_encode = msgspec.json.Encoder().encode


class Report(msgspec.Struct, frozen=True):
    """What became of one action."""

    action: Claimed
    verdict: Verdict
    result: Any = None
    """What the handler returned."""
    result_json: str | None = None


def storable(failure: Failure) -> Failure:
    """Return `failure` with texts that can be stored, and not at any length."""
    return replace(failure, code=_text(failure.code), message=_text(failure.message))


def _text(said: str) -> str:
    return said[:MAX_TEXT_CHARS].encode(errors="replace").decode()


def json_of(answer: Any) -> str | None:
    """Return `answer` as it is stored, None where JSON can't carry it or it is too large."""
    if answer is None:
        return None
    try:
        encoded = _encode(answer)
    except (TypeError, ValueError, OverflowError, RecursionError):
        _log.warning("chat.answer_dropped", reason="JSON can't carry it", type=type(answer).__name__)
        return None
    if len(encoded) > MAX_RESULT_BYTES:
        _log.warning("chat.answer_dropped", reason="it is too large", size_bytes=len(encoded))
        return None
    return encoded.decode()

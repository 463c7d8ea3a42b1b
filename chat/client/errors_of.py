"""What an answer that is no success means to the queue: told by the wire's class and code, never by its text. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chat.errors import (
    AnswerLost,
    AuthExpired,
    Conflict,
    DeliveryError,
    Permanent,
    RateLimited,
    TargetGone,
    Transient,
)

OUT_OF_TURN: Final = "out_of_turn"
VERSION_CONFLICT: Final = "version_conflict"
_GONE_CODES: Final = frozenset({"not_found", "gone"})
_DEFAULT_WAIT_S: Final = 1.0


class WireError(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says went wrong."""

    code: str
    class_: str = msgspec.field(name="class")
    message: str = ""
    retry_after_ms: int | None = None
    details: dict[str, Any] | None = None


class _Body(msgspec.Struct, frozen=True):
    error: WireError


_BY_CLASS: Final[dict[str, type[DeliveryError]]] = {
    "auth": AuthExpired,
    "conflict": Conflict,
    "permanent": Permanent,
    "transient": Transient,
}
_BY_STATUS: Final = {401: "auth", 429: "rate", 503: "transient"}
_decode: Final = msgspec.json.Decoder(_Body).decode


def wire_error(status: int, body: bytes) -> WireError:
    """Return what a body says; where it is not the server's own (a proxy's page), what its status says."""
    try:
        return _decode(body).error
    except msgspec.MsgspecError:
        is_final = 400 <= status < 500  # noqa: PLR2004 - what HTTP calls errors of the client
        class_ = _BY_STATUS.get(status, "permanent" if is_final else "unknown")
        return WireError(code=f"http_{status}", class_=class_)


def delivery_error(error: WireError, status: int | None = None) -> DeliveryError:
    """Return `error` as a handler raises it; `details` of it are in the attribute of that name."""
    made = _made(error, status)
    made.details = error.details or {}
    return made


def _made(error: WireError, status: int | None) -> DeliveryError:
    wait_s = None if error.retry_after_ms is None else error.retry_after_ms / 1000
    if error.class_ == "rate" or (error.class_ == "transient" and wait_s is not None):
        wait_s = _DEFAULT_WAIT_S if wait_s is None else wait_s
        return RateLimited(error.message, retry_after_s=wait_s, code=error.code, status=status)
    kind = _BY_CLASS.get(error.class_, AnswerLost)
    if kind is Permanent and error.code in _GONE_CODES:
        kind = TargetGone
    return kind(error.message, code=error.code, status=status)

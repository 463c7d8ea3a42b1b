"""Between an action as the program has it and as it is stored: its payload's form, and what is derived from it.

A payload is stored as JSON with the version of its form. One of an older version is lifted step by step; one of a
version that this program does not know is held until a program comes that does.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from chat.errors import InvalidAction
from chat.queue.outbox import NewAction

if TYPE_CHECKING:
    from chat.queue.actions import ActionType, ActionTypes
    from chat.queue.client_ids import ClientIds
    from chat.queue.clock import QueueClock

MAX_PAYLOAD_BYTES = 1024 * 1024
_DIGEST_BYTES = 16
_MAX_ID_CHARS = 100

_encode = msgspec.json.Encoder(order="deterministic").encode


class UnknownVersion(Exception):
    """A payload has a form that this program does not know."""


def packed(
    payload: msgspec.Struct,
    types: ActionTypes,
    clock: QueueClock,
    ids: ClientIds,
    *,
    account: str = "",
    client_id: str | None = None,
    delay_s: float = 0.0,
    max_attempts: int | None = None,
) -> NewAction:
    """Return the action of `payload` as it is stored, with a new client id unless it has one.

    Raises:
        UnknownActionType: No type has such a payload.
        InvalidAction: It can't be stored as it is.
    """
    kind = types.of(payload)
    body = _body(payload)
    at_ms = clock.wall_ms()
    delay_ms = int(1000 * max(delay_s, kind.debounce_s))
    if client_id is None:
        client_id = ids.at(at_ms)
    elif not 0 < len(client_id) <= _MAX_ID_CHARS:
        raise InvalidAction(f"a client id has 1 to {_MAX_ID_CHARS} characters")
    return NewAction(
        client_id=client_id,
        type=kind.name,
        version=kind.version,
        lane_key=kind.lane_of(payload, account),
        topic=kind.lane_topic,
        account=account,
        priority=kind.priority,
        payload=body,
        digest=digest_of(kind.name, account, body),
        in_lane=delay_ms <= 0,
        due_ms=clock.boot_ms() + delay_ms,
        created_at_ms=at_ms,
        not_before_at_ms=at_ms + delay_ms if delay_ms > 0 else None,
        expires_at_ms=None if kind.expires_after_s is None else at_ms + int(1000 * kind.expires_after_s),
        max_attempts=max_attempts,
        subject=kind.subject_of(payload, account),
        target_id=None if kind.target is None else getattr(payload, kind.target),
    )


def digest_of(name: str, account: str, body: bytes) -> bytes:
    """Return what tells an action from another one that has the same client id."""
    return blake2b(b"\0".join((name.encode(), account.encode(), body)), digest_size=_DIGEST_BYTES).digest()


def unpacked(kind: ActionType, version: int, body: bytes) -> msgspec.Struct:
    """Return the payload that was stored as `body`, lifted to the present version.

    Raises:
        UnknownVersion: It is newer than this program, or does not have the form that its version says.
    """
    try:
        if version == kind.version:
            return msgspec.json.decode(body, type=kind.payload)
        if not 0 < version < kind.version:
            raise UnknownVersion(f"{kind.name} of version {version}; this program knows up to {kind.version}")
        plain: dict[str, Any] = msgspec.json.decode(body)
        for step in range(version, kind.version):
            plain = kind.upcasters[step](plain)
        return msgspec.convert(plain, kind.payload)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UnknownVersion(f"{kind.name} of version {version} has another form: {error}") from error


def _body(payload: msgspec.Struct) -> bytes:
    try:
        body = _encode(payload)
    except (TypeError, ValueError, UnicodeError, OverflowError, RecursionError) as error:
        raise InvalidAction(f"the payload can't be written as JSON: {error}") from error
    if len(body) > MAX_PAYLOAD_BYTES:
        raise InvalidAction(f"the payload has {len(body)} bytes; {MAX_PAYLOAD_BYTES} are allowed")
    return body

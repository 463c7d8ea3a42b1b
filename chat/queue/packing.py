"""Between an action as the program has it and as it is stored: its payload's form, and what is derived from it.

A payload is stored as JSON with the version of its form, sealed if the queue has a seal. One of an older version is
lifted step by step; one that this program can't read is held until a program comes that can.
"""

from __future__ import annotations

import math
import re
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from chat.errors import InvalidAction
from chat.queue.client_ids import ClientIds
from chat.queue.records import NewAction
from chat.queue.sealing import CannotOpen, NoSeal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chat.queue.action_type import ActionType
    from chat.queue.actions import ActionTypes
    from chat.queue.clock import QueueClock
    from chat.queue.sealing import Seal

MAX_PAYLOAD_BYTES = 1024 * 1024
KEY_UNAVAILABLE, UNKNOWN_VERSION, UPCASTER_FAILED = "key_unavailable", "unknown_version", "upcaster_failed"
_DIGEST_BYTES = 16
_MAX_ID_CHARS = 100
_MAX_ACCOUNT_CHARS = 1_000
_MOST_NEEDS_COUNT = 1_000
_MOST_ATTEMPTS = 1_000_000
_MAX_DELAY_S = 10 * 365 * 86_400.0
_ODD_CHARS = re.compile("[\x00-\x1f\ud800-\udfff]")

_encode = msgspec.json.Encoder(order="deterministic").encode


class Unreadable(Exception):
    """A stored payload has a form, or a seal, that this program does not know; `code` says which."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Packing:
    """Packs and unpacks the payloads of one queue."""

    def __init__(
        self, types: ActionTypes, clock: QueueClock, seal: Seal | None = None, ids: ClientIds | None = None
    ) -> None:
        self.types = types
        self.seal = seal or NoSeal()
        self.digest_secret = b""
        """Of the queue's file; see `digest_secret`."""
        self._clock = clock
        self._ids = ids or ClientIds()

    def packed(
        self,
        payload: msgspec.Struct,
        *,
        account: str = "",
        client_id: str | None = None,
        delay_s: float | None = None,
        max_attempts: int | None = None,
        needs: Iterable[str] = (),
    ) -> NewAction:
        """Return the action of `payload` as it is stored, with a new client id unless it has one.

        Without a `delay_s` it is that of its type.

        Raises:
            UnknownActionType: No type has such a payload.
            InvalidAction: It can't be stored as it is.
        """
        kind = self.types.of(payload)
        at_ms = self._clock.wall_ms()
        if client_id is None:
            client_id = self._ids.at(at_ms)
        else:
            _check_id(client_id)
        if len(account) > _MAX_ACCOUNT_CHARS or not _is_plain(account):
            raise InvalidAction(
                f"an account has up to {_MAX_ACCOUNT_CHARS} characters, no control characters and no halves of any"
            )
        if max_attempts is not None and not 1 <= max_attempts <= _MOST_ATTEMPTS:
            raise InvalidAction(f"max_attempts is {max_attempts}; 1 to {_MOST_ATTEMPTS} are allowed")
        if delay_s is not None and not -math.inf < delay_s <= _MAX_DELAY_S:
            raise InvalidAction(f"delay_s is {delay_s}; at most {_MAX_DELAY_S:.0f} is allowed")
        needs = _checked_needs(needs)
        lane_key = kind.lane_of(payload, account)
        body = _body(payload)
        key_id, sealed = self.seal.seal(body, context_of(client_id, kind.name, lane_key))
        delay_ms = int(1000 * (kind.debounce_s if delay_s is None else delay_s))
        target_id = None if kind.target is None else getattr(payload, kind.target)
        needed = (*needs, target_id) if kind.waits_for_target and target_id is not None else needs
        now_ms = self._clock.boot_ms()
        return NewAction(
            client_id=client_id,
            type=kind.name,
            version=kind.version,
            lane_key=lane_key,
            topic=kind.lane_topic,
            account=account,
            priority=kind.priority,
            payload=sealed,
            key_id=key_id,
            digest=digest_of(kind.name, account, body, self.digest_secret),
            in_lane=delay_ms <= 0 and not needed,
            due_ms=now_ms + delay_ms if delay_ms > 0 or not needed else None,
            packed_ms=now_ms,
            created_at_ms=at_ms,
            not_before_at_ms=at_ms + delay_ms if delay_ms > 0 else None,
            expires_at_ms=None if kind.expires_after_s is None else at_ms + int(1000 * kind.expires_after_s),
            max_attempts=max_attempts,
            subject=kind.subject_of(payload, account),
            target_id=target_id,
            needs=needed,
        )

    def sealed(self, payload: msgspec.Struct, client_id: str, lane_key: str) -> tuple[str | None, bytes]:
        """Return `payload` as it is stored in the row of another client id than it was packed for.

        Raises:
            InvalidAction: It can't be stored.
        """
        return self.seal.seal(_body(payload), context_of(client_id, self.types.of(payload).name, lane_key))

    def unpacked(
        self, kind: ActionType, version: int, key_id: str | None, sealed: bytes, context: bytes
    ) -> Any:
        """Return the payload that was stored as `sealed`, lifted to the present version.

        Raises:
            Unreadable: Its version or its key is not known here, or it does not have the form it should have.
        """
        try:
            body = self.seal.open(key_id, sealed, context) if key_id is not None else sealed
            if version == kind.version:
                return msgspec.json.decode(body, type=kind.payload)
            if not 0 < version < kind.version:
                raise Unreadable(
                    f"{kind.name} of version {version}; this program knows up to {kind.version}",
                    code=UNKNOWN_VERSION,
                )
            plain: dict[str, Any] = msgspec.json.decode(body)
            return msgspec.convert(_lifted(kind, plain, version), kind.payload)
        except CannotOpen as error:
            raise Unreadable(str(error), code=KEY_UNAVAILABLE) from error
        except msgspec.MsgspecError as error:
            raise Unreadable(
                f"{kind.name} of version {version} has another form: {error}", code=UNKNOWN_VERSION
            ) from error


def _lifted(kind: ActionType, plain: dict[str, Any], version: int) -> dict[str, Any]:
    for step in range(version, kind.version):
        try:
            plain = kind.upcasters[step](plain)
        except Exception as error:  # an up-caster may raise anything, and the queue goes on
            raise Unreadable(
                f"the up-caster of {kind.name} from version {step} failed: {type(error).__name__}",
                code=UPCASTER_FAILED,
            ) from error
    return plain


def context_of(client_id: str, name: str, lane_key: str) -> bytes:
    """Return what names a row to its seal."""
    return "\0".join((client_id, name, lane_key)).encode()


def _check_id(client_id: str) -> None:
    if not 0 < len(client_id) <= _MAX_ID_CHARS or not _is_plain(client_id):
        raise InvalidAction(f"a client id has 1 to {_MAX_ID_CHARS} characters, and no control characters")


def _checked_needs(needs: Iterable[str]) -> tuple[str, ...]:
    """Return the client ids in `needs`, each once; an odd one would break off what is stored together with it."""
    if isinstance(needs, str):
        raise InvalidAction("what it comes after is a list of client ids, not one text")
    checked = tuple(dict.fromkeys(islice(needs, _MOST_NEEDS_COUNT + 1)))
    if len(checked) > _MOST_NEEDS_COUNT:
        raise InvalidAction(f"an action comes after at most {_MOST_NEEDS_COUNT} others")
    for each in checked:
        _check_id(each)
    return checked


def _is_plain(text: str) -> bool:
    return _ODD_CHARS.search(text) is None


def digest_of(name: str, account: str, body: bytes, secret: bytes = b"") -> bytes:
    """Return what tells an action from another one that has the same client id."""
    said = b"\0".join((name.encode(), account.encode(), body))
    return blake2b(said, digest_size=_DIGEST_BYTES, key=secret).digest()


def _body(payload: msgspec.Struct) -> bytes:
    try:
        body = _encode(payload)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidAction(f"the payload can't be written as JSON: {error}") from error
    if len(body) > MAX_PAYLOAD_BYTES:
        raise InvalidAction(f"the payload has {len(body)} bytes; {MAX_PAYLOAD_BYTES} are allowed")
    return body

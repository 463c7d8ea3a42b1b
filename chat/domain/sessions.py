"""Who is logged in, in memory: a session is one device of one user, found by the hash of its access token.

A new access token does not end the one before at once: the answer that carried it may have been lost. The one before
is good until the new one is first used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Who asks, as `Accounts.authenticate` found it."""

    user_id: int
    device_id: int
    name: str
    """The user's, by which they log in."""
    server_role: str | None = None
    """What they may do with databases and the server itself (`read`, `write`, `admin`); most may nothing."""


WhyEnded = Literal[
    "logged_out",
    "device_removed",
    "password_changed",
    "user_disabled",
    "token_reused",
    "too_many_devices",
    "expired",
]


class Ended(NamedTuple):
    """A session that is no more: whatever still runs for its device has to stop."""

    user_id: int
    device_id: int
    why: WhyEnded


class IssuedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What a device gets that is logged in; its tokens are shown this once."""

    access_token: str
    refresh_token: str
    access_expires_at_ms: int
    user_id: str
    device_id: str
    name: str
    server_role: str | None


@dataclass(kw_only=True, slots=True)
class _Held:
    session: Session
    access_hash: bytes
    expires_at_ms: int
    is_used: bool
    """Whether the present access token has come back, so that its device surely has it."""
    issued: IssuedSession | None = None
    """The answer that carried it, until it is used: whoever asks again gets the same one."""
    older_hash: bytes | None = None
    older_expires_at_ms: int = 0


class SessionBook:
    """All sessions of a server, in memory; what it holds is bounded by its keeper."""

    def __init__(self) -> None:
        self._by_hash: dict[bytes, _Held] = {}
        self._by_device: dict[int, _Held] = {}
        self._by_user: dict[int, set[int]] = {}

    def __len__(self) -> int:
        return len(self._by_device)

    def __contains__(self, device_id: int) -> bool:
        return device_id in self._by_device

    def find(self, access_hash: bytes, now_ms: int) -> Session | None:
        """Return whose access token has this hash, None if it is nobody's or has expired; this is a use of it."""
        held = self._by_hash.get(access_hash)
        if held is None:
            return None
        if held.access_hash != access_hash:
            return held.session if now_ms < held.older_expires_at_ms else None
        if now_ms >= held.expires_at_ms:
            return None
        if not held.is_used:
            self._use(held)
        return held.session

    def put(
        self,
        session: Session,
        access_hash: bytes,
        expires_at_ms: int,
        *,
        issued: IssuedSession | None = None,
        is_used: bool = False,
    ) -> None:
        """Hold a device's new access token, and the one before until this one is used."""
        held = _Held(
            session=session,
            access_hash=access_hash,
            expires_at_ms=expires_at_ms,
            is_used=is_used,
            issued=issued,
        )
        before = self._by_device.get(session.device_id)
        if before is not None:
            self.drop(session.device_id)
            if not is_used:
                self._keep_older(held, before)
        self._by_hash[access_hash] = held
        self._by_device[session.device_id] = held
        self._by_user.setdefault(session.user_id, set()).add(session.device_id)

    def confirm(self, device_id: int) -> None:
        """Note that the device has its present tokens."""
        held = self._by_device.get(device_id)
        if held is not None and not held.is_used:
            self._use(held)

    def is_used(self, device_id: int) -> bool:
        """Tell whether the device is known to have its present tokens."""
        held = self._by_device.get(device_id)
        return held is not None and held.is_used

    def issued(self, device_id: int) -> IssuedSession | None:
        """Return the answer that carried the device's present tokens, unless they were used since."""
        held = self._by_device.get(device_id)
        return None if held is None else held.issued

    def drop(self, device_id: int) -> None:
        """Forget a device; one that is not held is none."""
        held = self._by_device.pop(device_id, None)
        if held is None:
            return
        del self._by_hash[held.access_hash]
        if held.older_hash is not None:
            del self._by_hash[held.older_hash]
        devices = self._by_user[held.session.user_id]
        devices.discard(device_id)
        if not devices:
            del self._by_user[held.session.user_id]

    def devices_of(self, user_id: int) -> Iterable[int]:
        """Return the ids of the user's devices that are held."""
        return tuple(self._by_user.get(user_id, ()))

    def give_role(self, user_id: int, server_role: str | None) -> None:
        """Let the user's sessions have another role from now on."""
        for device_id in self.devices_of(user_id):
            held = self._by_device[device_id]
            held.session = replace(held.session, server_role=server_role)

    def _keep_older(self, held: _Held, before: _Held) -> None:
        """Let the last token that came back be good beside the new one."""
        if before.is_used:
            held.older_hash, held.older_expires_at_ms = before.access_hash, before.expires_at_ms
        else:
            held.older_hash, held.older_expires_at_ms = before.older_hash, before.older_expires_at_ms
        if held.older_hash is not None:
            self._by_hash[held.older_hash] = held

    def _use(self, held: _Held) -> None:
        held.is_used = True
        held.issued = None
        if held.older_hash is not None:
            del self._by_hash[held.older_hash]
            held.older_hash = None

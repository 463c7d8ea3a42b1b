"""What state a key is in, and which it may come into.

    added ------> primary ------> superseded ------> retired ------> destroyed
    opens         seals, opens    opens              does nothing    is gone

A key is *added* first, so that every process that reads has it before the first message is sealed with it; then it is
*promoted*. What older keys have sealed is sealed anew when there is time; when nothing is left, the old key is
*retired*: nothing opens with it any more, but it can be brought back. *Destroyed* is for ever, and shreds whatever is
still sealed with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from workers.keys.errors import KeyNotUsable

if TYPE_CHECKING:
    from collections.abc import Sequence

State = Literal["added", "primary", "superseded", "retired", "destroyed"]
STATES: tuple[State, ...] = get_args(State)
OPENING: frozenset[State] = frozenset({"added", "primary", "superseded"})

_FROM: dict[str, frozenset[State]] = {
    "promote": frozenset({"added", "superseded"}),
    "retire": frozenset({"added", "superseded"}),
    "restore": frozenset({"retired"}),
    "destroy": frozenset({"added", "superseded", "retired"}),
}


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """One data key as it is stored."""

    id: str
    """16 hexadecimal digits, drawn at random; what is sealed with the key begins with it."""
    state: State
    created_at: float
    """Wall time in seconds UTC."""
    wrapped: bytes | None
    """The key, sealed with the key-encryption key; None when it is destroyed."""


def added(keys: Sequence[StoredKey], new: StoredKey) -> tuple[StoredKey, ...]:
    """Return `keys` with one more, which is primary if it is the first."""
    state: State = "added" if primary_of(keys) is not None else "primary"
    return (*keys, msgspec.structs.replace(new, state=state))


def promoted(keys: Sequence[StoredKey], key_id: str) -> tuple[StoredKey, ...]:
    """Return `keys` with `key_id` as the primary one, and the former one superseded; the primary one may stay it.

    Raises:
        KeyNotUsable: There is no such key, or it is retired or destroyed.
    """
    if (primary := primary_of(keys)) is not None and primary.id == key_id:
        return tuple(keys)
    _checked(keys, key_id, "promote")
    return tuple(
        _in(key, "primary") if key.id == key_id else _in(key, "superseded") if key.state == "primary" else key
        for key in keys
    )


def retired(keys: Sequence[StoredKey], key_id: str) -> tuple[StoredKey, ...]:
    """Return `keys` with `key_id` opening nothing any more.

    Raises:
        KeyNotUsable: There is no such key, or it is the primary one (promote another first) or gone already.
    """
    _checked(keys, key_id, "retire")
    return _replaced(keys, key_id, "retired")


def restored(keys: Sequence[StoredKey], key_id: str) -> tuple[StoredKey, ...]:
    """Return `keys` with the retired `key_id` opening again.

    Raises:
        KeyNotUsable: There is no such key, or it is not retired.
    """
    _checked(keys, key_id, "restore")
    return _replaced(keys, key_id, "superseded")


def destroyed(keys: Sequence[StoredKey], key_id: str) -> tuple[StoredKey, ...]:
    """Return `keys` without the bytes of `key_id`, whose id stays.

    Raises:
        KeyNotUsable: There is no such key, or it is the primary one (promote another first) or gone already.
    """
    _checked(keys, key_id, "destroy")
    return tuple(
        msgspec.structs.replace(key, state="destroyed", wrapped=None) if key.id == key_id else key
        for key in keys
    )


def primary_of(keys: Sequence[StoredKey]) -> StoredKey | None:
    """Return the key that seals."""
    return next((key for key in keys if key.state == "primary"), None)


def _replaced(keys: Sequence[StoredKey], key_id: str, state: State) -> tuple[StoredKey, ...]:
    return tuple(_in(key, state) if key.id == key_id else key for key in keys)


def _in(key: StoredKey, state: State) -> StoredKey:
    return msgspec.structs.replace(key, state=state)


def _checked(keys: Sequence[StoredKey], key_id: str, what: str) -> None:
    found = next((key.state for key in keys if key.id == key_id), None)
    if found is None:
        raise KeyNotUsable(f"the keyring has no key {key_id}", key_id=key_id, state=None)
    if found not in _FROM[what]:
        raise KeyNotUsable(f"the key {key_id} is {found}: it can't {what}", key_id=key_id, state=found)

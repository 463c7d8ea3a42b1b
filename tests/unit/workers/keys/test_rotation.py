"""A key goes from added to primary to superseded to retired to destroyed, and no message is lost on the way."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typing_extensions import override

from tests.support.keys import CHEAP, FixedSource, MemoryStore, keyring
from workers.keys import rotation
from workers.keys.documents import decoded, encoded
from workers.keys.errors import (
    DecryptError,
    KeyNotUsable,
    KeyringBusy,
    KeyringDamaged,
)
from workers.keys.keyring import open_keyring
from workers.keys.rotation import OPENING, STATES, State, StoredKey

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGES: dict[str, Callable[[tuple[StoredKey, ...], str], tuple[StoredKey, ...]]] = {
    "promote": rotation.promoted,
    "retire": rotation.retired,
    "restore": rotation.restored,
    "destroy": rotation.destroyed,
}
ALLOWED: dict[tuple[State, str], State] = {
    ("added", "promote"): "primary",
    ("added", "retire"): "retired",
    ("added", "destroy"): "destroyed",
    ("primary", "promote"): "primary",
    ("superseded", "promote"): "primary",
    ("superseded", "retire"): "retired",
    ("superseded", "destroy"): "destroyed",
    ("retired", "restore"): "superseded",
    ("retired", "destroy"): "destroyed",
}


def stored(key_id: str, state: State) -> StoredKey:
    return StoredKey(
        id=key_id, state=state, created_at=0.0, wrapped=None if state == "destroyed" else b"wrapped"
    )


@pytest.mark.parametrize(("state", "change"), list(itertools.product(STATES, sorted(CHANGES))))
def test_each_state_allows_what_the_table_says_and_nothing_else(state: State, change: str) -> None:
    keys = (stored("old", "primary" if state != "primary" else "superseded"), stored("key", state))
    after = ALLOWED.get((state, change))
    if after is None:
        with pytest.raises(KeyNotUsable) as caught:
            CHANGES[change](keys, "key")
        assert (caught.value.key_id, caught.value.state) == ("key", state)
    else:
        changed = {key.id: key for key in CHANGES[change](keys, "key")}
        assert changed["key"].state == after
        assert (changed["key"].wrapped is None) is (after == "destroyed")
        assert [key.state for key in changed.values()].count("primary") == 1


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_key_that_is_not_there_can_not_be_changed(change: str) -> None:
    with pytest.raises(KeyNotUsable) as caught:
        CHANGES[change]((stored("old", "primary"),), "key")
    assert caught.value.state is None


def test_rotation_loses_no_message() -> None:
    ring = keyring()
    old = ring.key_id
    rows = {number: ring.seal(b"body %d" % number, b"row %d" % number)[1] for number in range(10)}
    new = ring.add()
    assert ring.key_id == old
    ring.promote(new)
    assert ring.states() == {old: "superseded", new: "primary"}
    assert [ring.open(old, rows[number], b"row %d" % number) for number in rows] == [
        b"body %d" % number for number in rows
    ]
    for number, sealed in list(rows.items()):
        assert not ring.is_current(sealed)
        resealed = ring.resealed(sealed, b"row %d" % number)
        assert resealed is not None
        rows[number] = resealed
        assert ring.resealed(resealed, b"row %d" % number) is None
    ring.retire(old)
    ring.destroy(old)
    assert ring.states() == {old: "destroyed", new: "primary"}
    assert [ring.open(new, rows[number], b"row %d" % number) for number in rows] == [
        b"body %d" % number for number in rows
    ]


def test_a_message_is_not_sealed_anew_in_another_row() -> None:
    ring = keyring()
    sealed = ring.seal(b"body", b"row")[1]
    ring.promote(ring.add())
    with pytest.raises(DecryptError):
        ring.resealed(sealed, b"other row")


def test_a_retired_key_opens_nothing_until_it_is_restored() -> None:
    ring = keyring()
    old, sealed = ring.seal(b"body")
    derived = ring.derived(b"purpose")
    ring.promote(ring.add())
    ring.retire(old)
    with pytest.raises(DecryptError):
        ring.open(None, sealed)
    with pytest.raises(DecryptError):
        ring.derived(b"purpose", key_id=old)
    ring.restore(old)
    assert ring.open(None, sealed) == b"body"
    assert ring.derived(b"purpose", key_id=old) == derived


def test_what_a_destroyed_key_has_sealed_is_lost_and_its_bytes_are_gone() -> None:
    store = MemoryStore()
    ring = keyring(store)
    old, sealed = ring.seal(b"body")
    key = ring._sealer.holds(old)
    ring.promote(ring.add())
    ring.destroy(old)
    assert key is not None
    assert key.is_wiped
    assert store.data is not None
    assert [each.wrapped for each in decoded(store.data).keys if each.id == old] == [None]
    for each in (ring, open_keyring(store, FixedSource())):
        with pytest.raises(DecryptError):
            each.open(None, sealed)
    with pytest.raises(KeyNotUsable):
        ring.restore(old)


def test_a_key_is_added_before_others_have_to_know_it() -> None:
    """Two processes: the one that lags behind opens all that the other seals."""
    store = MemoryStore()
    one = keyring(store)
    other = open_keyring(store, FixedSource())
    new = one.add()
    other.reload()
    one.promote(new)
    assert other.open(None, one.seal(b"body")[1]) == b"body"
    assert one.open(None, other.seal(b"body")[1]) == b"body"
    other.reload()
    assert other.key_id == new
    one.destroy(next(iter(one.states())))
    other.reload()
    assert other.states() == one.states()


def test_a_change_that_another_process_made_meanwhile_is_kept() -> None:
    store = MemoryStore()
    one, other = keyring(store), open_keyring(store, FixedSource())
    added = one.add(), other.add()
    assert set(added) < set(other.states())
    assert len(other.states()) == 3


def test_a_keyring_that_is_being_changed_is_busy_and_stays_as_it_is() -> None:
    store = MemoryStore()
    ring = keyring(store)
    with store.changing(), pytest.raises(KeyringBusy):
        ring.add()
    assert len(ring.states()) == 1
    ring.add()


def test_a_change_that_can_not_be_stored_is_not_taken_into_use() -> None:
    class FullStore(MemoryStore):
        @override
        def write(self, data: bytes) -> None:
            if self.data is not None:
                raise OSError("no space left")
            super().write(data)

    ring = keyring(FullStore())
    with pytest.raises(OSError, match="no space"):
        ring.add()
    assert len(ring.states()) == 1
    assert ring.open(None, ring.seal(b"body")[1]) == b"body"


def test_rewrapping_changes_the_key_encryption_key_and_nothing_else() -> None:
    store = MemoryStore()
    ring = keyring(store, FixedSource(1))
    old, sealed = ring.seal(b"body")
    ring.promote(ring.add())
    shredded = ring.add()
    ring.destroy(shredded)
    ring.rewrap(FixedSource(2), CHEAP)
    assert ring.open(old, sealed) == b"body"
    ring.add()
    with pytest.raises(KeyringDamaged, match="another key-encryption key"):
        open_keyring(store, FixedSource(1))
    again = open_keyring(store, FixedSource(2))
    assert again.open(old, sealed) == b"body"
    assert again.states() == ring.states()


def test_a_keyring_is_created_once() -> None:
    store = MemoryStore()
    keyring(store)
    with pytest.raises(FileExistsError):
        keyring(store)
    with pytest.raises(FileNotFoundError):
        open_keyring(MemoryStore(), FixedSource())


@pytest.mark.parametrize("change", ["state", "name", "id", "created_at", "order", "wrapped", "hardening"])
def test_who_has_not_the_key_changes_nothing_in_a_stored_keyring(change: str) -> None:
    store = MemoryStore()
    ring = keyring(store)
    old = ring.key_id
    ring.promote(ring.add())
    ring.retire(old)
    assert store.data is not None
    document = decoded(store.data)
    first, second = document.keys
    changes: dict[str, dict[str, Any]] = {
        "state": {"keys": (msgspec.structs.replace(first, state="superseded"), second)},
        "name": {"name": "other"},
        "id": {"keys": (msgspec.structs.replace(first, id="0" * 16), second)},
        "created_at": {"keys": (msgspec.structs.replace(first, created_at=0.0), second)},
        "order": {"keys": (second, first)},
        "wrapped": {"keys": (msgspec.structs.replace(first, wrapped=second.wrapped), second)},
        "hardening": {"hardening": msgspec.structs.replace(CHEAP, passes=2)},
    }
    store.data = encoded(msgspec.structs.replace(document, **changes[change]))
    with pytest.raises(KeyringDamaged):
        open_keyring(store, FixedSource())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"\x00" * 100,
        b'{"form": 1, "name": "", "hardening": {"salt": ""}, "keys": []}',
        b"x" * (1024 * 1024 + 1),
    ],
    ids=["empty", "no fields", "array", "zeros", "no salt", "large"],
)
def test_what_is_no_keyring_is_refused(data: bytes) -> None:
    with pytest.raises(KeyringDamaged):
        open_keyring(MemoryStore(data), FixedSource())


def test_a_keyring_without_a_primary_key_or_of_a_later_form_is_refused() -> None:
    store = MemoryStore()
    keyring(store)
    assert store.data is not None
    document = decoded(store.data)
    for changed in (
        msgspec.structs.replace(document, keys=()),
        msgspec.structs.replace(document, form=2),
    ):
        with pytest.raises(KeyringDamaged):
            decoded(encoded(changed))


def test_a_wrapped_key_that_was_cut_or_swapped_does_not_open_even_if_the_rest_were_genuine() -> None:
    store = MemoryStore()
    ring = keyring(store)
    ring.add()
    assert store.data is not None
    document = decoded(store.data)
    with ring._stored._wrapping(FixedSource(), document) as wrapping:
        first, second = document.keys
        assert first.wrapped is not None
        assert second.wrapped is not None
        for wrapped in (second.wrapped, first.wrapped[:-1], first.wrapped[:16], b""):
            with pytest.raises(KeyringDamaged, match=first.id):
                wrapping.unwrapped(first.id, wrapped)


def test_a_closed_keyring_seals_and_opens_nothing_and_its_keys_are_wiped() -> None:
    ring = keyring()
    sealed = ring.seal(b"body")[1]
    key = ring._sealer.holds(ring.key_id)
    ring.close()
    assert key is not None
    assert key.is_wiped
    with pytest.raises(KeyNotUsable, match="closed"):
        ring.seal(b"body")
    with pytest.raises(DecryptError):
        ring.open(None, sealed)


def test_derived_keys_differ_by_purpose_and_by_data_key_and_stay_the_same() -> None:
    ring = keyring()
    old = ring.key_id
    first = ring.derived(b"settings")
    assert ring.derived(b"settings") == first
    assert ring.derived(b"other") != first
    assert len(ring.derived(b"settings", length=64)) == 64
    ring.promote(ring.add())
    assert ring.derived(b"settings") != first
    assert ring.derived(b"settings", key_id=old) == first


def test_only_keys_that_open_are_unwrapped() -> None:
    store = MemoryStore()
    ring = keyring(store)
    old = ring.key_id
    ring.promote(ring.add())
    ring.retire(old)
    again = open_keyring(store, FixedSource())
    assert again._sealer.holds(old) is None
    assert "retired" not in OPENING

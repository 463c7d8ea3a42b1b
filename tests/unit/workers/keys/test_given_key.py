"""A keyring of one key that somebody has from elsewhere."""

from __future__ import annotations

import pytest

from workers import KeyNotUsable, Secret, keyring_of


def test_what_one_holder_of_a_key_seals_opens_for_every_other() -> None:
    one, other = keyring_of(Secret(bytes(range(32)))), keyring_of(Secret(bytes(range(32))))
    key_id, sealed = one.seal(b"hello", b"row 1")
    assert other.open(key_id, sealed, b"row 1") == b"hello"
    assert one.key_id == other.key_id != keyring_of(Secret(bytes(32))).key_id


def test_the_id_of_a_key_does_not_show_it() -> None:
    key = bytes(range(32))
    assert keyring_of(Secret(key)).key_id not in key.hex()


def test_such_a_keyring_is_not_changed() -> None:
    ring = keyring_of(Secret(bytes(32)))
    for change in (ring.add, ring.reload, lambda: ring.retire(ring.key_id)):
        with pytest.raises(KeyNotUsable):
            change()


def test_closing_it_wipes_its_copy_and_leaves_the_owners_key_alone() -> None:
    key = Secret(bytes(range(32)))
    ring = keyring_of(key)
    ring.close()
    with pytest.raises(KeyNotUsable):
        ring.seal(b"hello")
    assert bytes(key.buffer) == bytes(range(32))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        keyring_of(Secret(bytes(31)))

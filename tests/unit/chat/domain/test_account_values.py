"""Settings, stored hashes, addresses and locks of accounts."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.domain.account_settings import AccountSettings, PasswordCost
from chat.domain.accounts import site
from chat.domain.one_at_a_time import OneAtATime
from chat.domain.passwords import MAX_BYTES, StoredHash, prepared
from chat.domain.refusals import InvalidValue


@pytest.mark.parametrize("name", ["access_token_s", "login_attempts_per_minute", "sends_per_s"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_number_of_the_settings_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        AccountSettings(**{name: value})  # type: ignore[arg-type]  # that is what is tried


costs = st.builds(
    PasswordCost,
    memory_kib=st.integers(8, 10**8 - 1),
    passes=st.integers(1, 99),
    lanes=st.integers(1, 99),
)


@given(costs, st.binary(min_size=8, max_size=48), st.binary(min_size=16, max_size=64))
def test_a_stored_hash_reads_back_as_it_was_written(cost: PasswordCost, salt: bytes, digest: bytes) -> None:
    stored = StoredHash(cost, salt, digest)

    assert StoredHash.parse(stored.text) == stored


@pytest.mark.parametrize("text", ["", "none", "$argon2id$v=19$m=1,t=1,p=1$$", "$2b$12$abc", "password"])
def test_what_is_no_hash_is_nobodys_password(text: str) -> None:
    assert StoredHash.parse(text) is None


def test_a_password_is_the_same_however_its_letters_were_composed() -> None:
    assert prepared("pässword") == prepared("pa\u0308ssword") == "pässword".encode()


@pytest.mark.parametrize("text", ["x" * (MAX_BYTES + 1), "ä" * MAX_BYTES, "ﷺ" * MAX_BYTES, "\udc80" * 9])
def test_a_password_that_is_too_long_or_no_text_is_refused_before_it_is_hashed(text: str) -> None:
    with pytest.raises(InvalidValue):
        prepared(text)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("testclient", "testclient", True),
    ],
)
def test_addresses_count_as_one_by_site(one: str, other: str, is_same: bool) -> None:
    assert (site(one) == site(other)) == is_same


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machines_own_address_may_be_a_proxys_and_is_not_counted(address: str) -> None:
    assert site(address) is None


async def test_only_those_with_the_same_key_wait_for_each_other() -> None:
    turns, inside, most = OneAtATime(), {"a": 0, "b": 0}, {"a": 0, "b": 0}
    both_in = anyio.Event()

    async def enter(key: str) -> None:
        async with turns.of(key):
            inside[key] += 1
            most[key] = max(most[key], inside[key])
            if all(inside.values()):
                both_in.set()
            await both_in.wait()
            inside[key] -= 1

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for key in "aabba":
                tasks.start_soon(enter, key)

    assert most == {"a": 1, "b": 1}
    assert len(turns) == 0


async def test_a_lock_whose_waiter_gave_up_is_forgotten_too() -> None:
    turns = OneAtATime()

    async def wait_in_vain() -> None:
        with anyio.move_on_after(0.01):
            async with turns.of("a"):
                raise AssertionError("somebody else is in")

    with anyio.fail_after(5):
        async with turns.of("a"), anyio.create_task_group() as tasks:
            tasks.start_soon(wait_in_vain)

    assert len(turns) == 0

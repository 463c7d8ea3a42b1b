"""A rate holds over any stretch of time, and who waits as told is let in."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chat.domain.rates import RateLimit, take
from chat.domain.refusals import TooOften
from tests.support.clocks import ManualClock

rates = st.floats(0.01, 1_000)
bursts = st.integers(1, 50)
pauses = st.lists(st.floats(0, 100), max_size=80)


def is_taken(limit: RateLimit, key: object) -> bool:
    try:
        limit.take(key)
    except TooOften:
        return False
    return True


@given(rates, bursts, pauses)
def test_in_no_stretch_of_time_more_is_taken_than_the_burst_and_what_came_meanwhile(
    per_s: float, burst_count: int, pauses: list[float]
) -> None:
    now, full_at, taken_at = 0.0, 0.0, []
    for pause in pauses:
        now += pause
        drawn = take(full_at, now, per_s=per_s, burst_count=burst_count)
        full_at = drawn.full_at
        if drawn.wait_s == 0:
            taken_at.append(now)

    for first, since in enumerate(taken_at):
        for last, until in enumerate(taken_at[first:], start=first):
            assert last - first + 1 <= burst_count + per_s * (until - since) + 1e-6


@given(rates, bursts, pauses)
def test_whoever_waits_as_long_as_told_is_let_in_and_not_much_earlier(
    per_s: float, burst_count: int, pauses: list[float]
) -> None:
    now, full_at = 0.0, 0.0
    for pause in pauses:
        now += pause
        drawn = take(full_at, now, per_s=per_s, burst_count=burst_count)
        full_at = drawn.full_at
        assert 0 <= drawn.wait_s <= 1 / per_s + 1e-6
        if drawn.wait_s > 0:
            wait_s = drawn.wait_s
            assert take(full_at, now + wait_s, per_s=per_s, burst_count=burst_count).wait_s == 0
            assume(wait_s > 1e-5)
            assert take(full_at, now + wait_s / 2, per_s=per_s, burst_count=burst_count).wait_s > 0


@given(st.integers(1, 200))
def test_a_bucket_that_nobody_draws_from_is_full_and_no_fuller(burst_count: int) -> None:
    clock = ManualClock()
    limit = RateLimit(clock, what="sends", per_s=1, burst_count=burst_count)
    clock.advance(1e6)

    assert [is_taken(limit, "ann") for _ in range(burst_count + 1)] == [True] * burst_count + [False]


def test_each_key_has_a_bucket_of_its_own() -> None:
    limit = RateLimit(ManualClock(), what="sends", per_s=1, burst_count=1)

    assert [is_taken(limit, key) for key in ("ann", "bob", "ann")] == [True, True, False]


def test_the_refusal_says_what_was_too_often_and_when_to_come_back() -> None:
    clock = ManualClock()
    limit = RateLimit(clock, what="attempts", per_s=0.5, burst_count=1)
    limit.take("ann")
    clock.advance(0.5)

    with pytest.raises(TooOften, match=r"too many attempts; try again in 1\.5 s") as refused:
        limit.take("ann")
    assert refused.value.details["retry_after_s"] == pytest.approx(1.5)


def test_what_is_given_back_can_be_taken_again() -> None:
    limit = RateLimit(ManualClock(), what="sends", per_s=1, burst_count=1)
    limit.take("ann")
    limit.give_back("ann")
    limit.give_back("nobody")

    assert is_taken(limit, "ann")
    assert not is_taken(limit, "ann")


def test_a_flood_of_made_up_keys_shares_one_bucket_and_leaves_the_known_ones_theirs() -> None:
    limit = RateLimit(ManualClock(), what="attempts", per_s=1, burst_count=2, max_key_count=10)
    limit.take("ann")
    let_in = sum(is_taken(limit, f"made-up-{number}") for number in range(1_000))

    assert let_in == 9 + 2  # one each while there is room, then two of all the others together
    assert is_taken(limit, "ann")
    assert not is_taken(limit, "ann")


def test_room_is_made_by_those_whose_bucket_is_full_again() -> None:
    clock = ManualClock()
    limit = RateLimit(clock, what="attempts", per_s=1, burst_count=1, max_key_count=10)
    for number in range(11):
        limit.take(number)
    clock.advance(2)

    assert all(is_taken(limit, f"later-{number}") for number in range(10))

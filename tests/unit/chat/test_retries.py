from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.queue.retries import RetryPolicy

chances = st.floats(0, 1)
attempts = st.integers(0, 10**9)
asked = st.none() | st.floats(allow_nan=True, allow_infinity=True)
policies = st.builds(
    lambda base, cap: RetryPolicy(base_delay_s=base, max_delay_s=cap),
    st.floats(0.001, 1e6),
    st.floats(0.001, 1e6),
)


@given(policies, attempts, chances)
@example(RetryPolicy(), 10**9, 1.0)
def test_a_wait_is_never_negative_nor_above_the_cap_at_any_number_of_attempts(
    policy: RetryPolicy, attempts: int, chance: float
) -> None:
    assert 0 <= policy.delay_s(attempts, chance) <= policy.max_delay_s


@given(policies, attempts, chances, asked)
def test_what_a_server_asks_for_is_waited_for_up_to_its_own_limit(
    policy: RetryPolicy, attempts: int, chance: float, asked_s: float | None
) -> None:
    wait_s = policy.delay_s(attempts, chance, asked_s)

    assert math.isfinite(wait_s)
    if asked_s is not None and asked_s > 0:
        least_s = min(asked_s, policy.max_retry_after_s)
        assert least_s <= wait_s <= least_s + policy.base_delay_s


def test_the_bound_doubles_with_each_attempt_up_to_the_cap() -> None:
    policy = RetryPolicy(base_delay_s=2.0, max_delay_s=300.0)

    assert [policy.bound_s(n) for n in (1, 2, 3, 4, 8, 9, 100)] == [2, 4, 8, 16, 256, 300, 300]


def test_the_wait_is_drawn_from_all_between_nothing_and_the_bound() -> None:
    policy = RetryPolicy(base_delay_s=2.0)

    assert [policy.delay_s(2, chance) for chance in (0.0, 0.5, 1.0)] == [0.0, 2.0, 4.0]


def test_tries_are_spent_when_as_many_failed_as_may() -> None:
    assert [RetryPolicy(max_attempts=3).is_spent(n) for n in (0, 2, 3, 4)] == [False, False, True, True]
    assert not RetryPolicy(max_attempts=None).is_spent(10**9)


@pytest.mark.parametrize(
    "numbers",
    [{"max_attempts": 0}, {"base_delay_s": 0}, {"max_delay_s": math.inf}, {"max_retry_after_s": math.nan}],
)
def test_numbers_that_make_no_sense_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(numbers))):
        RetryPolicy(**numbers)  # type: ignore[arg-type]  # on purpose

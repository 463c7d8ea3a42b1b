"""What is known of how long a call will wait, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.pace import LEAST_COUNT, LEAST_WAIT_S, MEMORY_S, WINDOW_COUNT, Pace

LOOKS = st.lists(st.tuples(st.integers(0, 500), st.floats(0.001, 1.0)), max_size=60)


def pace_of(*looks: tuple[int, float]) -> Pace:
    pace, now = Pace(), 0.0
    for count, elapsed_s in looks:
        now += elapsed_s
        pace.observe(count, elapsed_s, was_busy=True, now=now)
    return pace


@given(LOOKS, st.integers(0, 10_000))
def test_a_pool_that_never_had_too_much_to_do_is_never_waited_for(
    looks: list[tuple[int, float]], ahead_count: int
) -> None:
    pace, now = Pace(), 0.0
    for count, elapsed_s in looks:
        now += elapsed_s
        pace.observe(count, elapsed_s, was_busy=False, now=now)
    assert pace.wait_s(ahead_count) == 0.0


@given(LOOKS)
def test_where_nobody_is_ahead_there_is_no_wait(looks: list[tuple[int, float]]) -> None:
    assert pace_of(*looks).wait_s(0) == 0.0


@given(LOOKS, st.integers(0, 1_000), st.integers(0, 1_000))
def test_the_more_are_ahead_the_longer_it_takes(
    looks: list[tuple[int, float]], fewer: int, more: int
) -> None:
    pace = pace_of(*looks)
    assert pace.wait_s(fewer) <= pace.wait_s(fewer + more)


@given(st.floats(1.0, 5_000.0), st.integers(1, 1_000), st.integers(1, 200))
def test_a_steady_pace_is_told_as_it_is(per_s: float, ahead_count: int, looks_count: int) -> None:
    count = max(LEAST_COUNT, int(per_s))
    pace = pace_of(*[(count, count / per_s)] * looks_count)
    wait_s = ahead_count / per_s
    told_s = pace.wait_s(ahead_count)
    assert told_s == pytest.approx(wait_s) if wait_s > LEAST_WAIT_S * 1.01 else told_s <= wait_s * 1.01


def test_a_few_answers_say_nothing() -> None:
    assert pace_of((LEAST_COUNT - 1, 10.0)).wait_s(100) == 0.0
    assert pace_of((LEAST_COUNT, 8.0)).wait_s(100) == pytest.approx(100.0)


def test_a_pool_that_became_quicker_is_known_to_be_after_a_window() -> None:
    pace = pace_of(*[(10, 1.0)] * 20)
    slow_s = pace.wait_s(100)
    for _ in range(10):
        pace.observe(WINDOW_COUNT, 0.5, was_busy=True, now=30.0)
    assert pace.wait_s(100) < slow_s / 5


def test_what_was_long_ago_is_forgotten_and_a_short_rest_forgets_nothing() -> None:
    pace = pace_of(*[(10, 1.0)] * 5)
    pace.observe(0, 1.0, was_busy=False, now=5.0 + MEMORY_S)
    assert pace.wait_s(100) == pytest.approx(10.0)
    pace.observe(0, 1.0, was_busy=False, now=5.1 + MEMORY_S)
    assert pace.wait_s(100) == 0.0

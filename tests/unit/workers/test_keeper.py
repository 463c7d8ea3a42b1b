from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from workers.keeper import pause_s, restart_delay_s


@given(st.integers(-5, 10**9), st.floats(0.01, 1e6))
def test_the_delay_is_never_negative_and_never_above_its_cap(failures_count: int, cap_s: float) -> None:
    assert 0 <= restart_delay_s(failures_count, cap_s) <= cap_s


def test_the_first_replacement_comes_at_once_and_later_ones_ever_later() -> None:
    delays_s = [restart_delay_s(count, 5.0) for count in range(10)]
    assert delays_s[0] == 0
    assert delays_s == sorted(delays_s)


def test_more_restarts_than_the_window_allows_wait_until_the_oldest_leaves_it() -> None:
    restarts = deque([1.0, 5.0, 9.0])
    assert pause_s(restarts, 10.0, max_count=4, window_s=60.0) == 0.0
    assert pause_s(restarts, 10.0, max_count=3, window_s=60.0) == 51.0
    assert pause_s(restarts, 62.0, max_count=3, window_s=60.0) == 0.0
    assert list(restarts) == [5.0, 9.0]

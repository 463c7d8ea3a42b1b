from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.percentiles import percentile

TIMES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=200)


def test_the_p99_of_a_hundred_values_is_the_99th() -> None:
    assert percentile(range(1, 101), 99) == 99
    assert percentile(range(1, 101), 50) == 50
    assert percentile(range(1, 101), 100) == 100


def test_the_p99_of_few_values_is_the_worst() -> None:
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0


@given(TIMES, st.floats(min_value=0.001, max_value=100))
def test_a_percentile_is_a_value_that_was_measured_and_that_enough_values_do_not_exceed(
    times: list[float], percent: float
) -> None:
    found = percentile(times, percent)
    assert found in times
    assert sum(1 for time in times if time <= found) >= len(times) * percent / 100 - 1e-6
    assert sum(1 for time in times if time < found) < len(times) * percent / 100 + 1e-6


@pytest.mark.parametrize("percent", [0, -1, 100.5])
def test_a_percent_that_is_none_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percent is"):
        percentile([1.0], percent)


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.statistics import BUCKETS_COUNT, Durations, Histogram


@given(st.lists(st.integers(-10, 10**15), max_size=50))
def test_every_duration_is_counted_in_one_bucket(durations_us: list[int]) -> None:
    histogram = Histogram()
    for duration_us in durations_us:
        histogram.add(duration_us)
    frozen = histogram.frozen()
    assert sum(frozen.counts) == len(durations_us)
    assert len(frozen.counts) == BUCKETS_COUNT
    assert frozen.total_us == sum(max(0, each) for each in durations_us)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_quantile_is_no_lower_than_the_durations_it_covers(
    durations_us: list[int], fraction: float
) -> None:
    histogram = Histogram()
    for duration_us in durations_us:
        histogram.add(duration_us)
    edge_us = histogram.frozen().quantile_us(fraction)
    assert sum(each < edge_us for each in durations_us) >= fraction * len(durations_us)


def test_nothing_counted_has_quantile_zero() -> None:
    assert Durations().quantile_us(0.99) == 0

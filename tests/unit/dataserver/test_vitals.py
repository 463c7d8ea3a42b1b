from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataserver.vitals import KEPT_COUNT, Counts, PoolCounts, Vitals, quantile, vital

EDGES = (1.0, 10.0, 100.0)
START = Counts(
    at_ms=1_000,
    requests=(0, 0, 0, 0),
    failed=0,
    sent_bytes=0,
    open_requests=0,
    sockets=0,
    lag_counts=(0, 0),
    readers=(PoolCounts(wait_counts=(0,) * 12),) * 2,
    writers=(PoolCounts(wait_counts=(0,) * 12),) * 2,
    wal_bytes=0,
    largest_wal_bytes=0,
    oldest_reader_s=0.0,
    memory_bytes=0,
)


def test_a_second_is_what_the_counters_grew_by() -> None:
    before = replace(START, requests=(5, 5, 0, 0), failed=3, sent_bytes=100)
    after = replace(START, at_ms=2_000, requests=(105, 5, 0, 0), failed=4, sent_bytes=350, wal_bytes=7)
    found = vital(before, after, edges_ms=EDGES, lag_edges_ms=(5.0,))
    assert (found.at_ms, found.requests, found.failed, found.sent_bytes) == (2_000, 100, 1, 250)
    assert (found.p50_ms, found.wal_bytes) == (0.5, 7)


def test_a_pool_that_took_the_place_of_another_begins_from_nothing() -> None:
    other = PoolCounts(completed=5, alive=1, rejected=2, wait_counts=(0,) * 12)
    before = PoolCounts(completed=1, restarts=9, rejected=3, wait_counts=(9,) * 12)
    after = PoolCounts(completed=10, restarts=1, wait_counts=(1,) * 12, changes=1)
    found = vital(
        replace(START, readers=(before, other)),
        replace(START, readers=(after, replace(other, completed=7))),
        edges_ms=EDGES,
        lag_edges_ms=(5.0,),
    ).readers
    assert (found.completed, found.restarts, found.rejected) == (12, 1, 0)
    assert (found.alive, found.dead) == (1, 1)


def test_of_what_passes_the_last_edge_that_edge_is_told() -> None:
    assert quantile((0, 0, 0, 8), EDGES, 0.99) == 100.0


def test_nothing_counted_is_zero() -> None:
    assert quantile((0, 0, 0, 0), EDGES, 0.5) == 0.0


@given(st.lists(st.integers(0, 1_000), min_size=4, max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_part_is_never_reached_sooner(counts: list[int], one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert 0 <= quantile(counts, EDGES, less) <= quantile(counts, EDGES, more) <= EDGES[-1]


def test_a_quarter_of_an_hour_is_kept_and_no_more() -> None:
    moments = iter(replace(START, at_ms=1_000 * second) for second in range(2 * KEPT_COUNT))
    vitals = Vitals(lambda: next(moments), edges_ms=EDGES, lag_edges_ms=(5.0,))
    for _ in range(2 * KEPT_COUNT):
        vitals.take()
    kept = vitals.since(0)
    assert len(kept) == KEPT_COUNT
    assert kept[-1].at_ms == 1_000 * (2 * KEPT_COUNT - 1)
    assert [each.at_ms for each in vitals.since(kept[-3].at_ms)] == [each.at_ms for each in kept[-2:]]


@pytest.mark.parametrize("lag_counts", [(0, 3), (3, 0)])
def test_the_worst_lag_is_told(lag_counts: tuple[int, int]) -> None:
    found = vital(START, replace(START, lag_counts=lag_counts), edges_ms=EDGES, lag_edges_ms=(5.0, 50.0))
    assert found.lag_ms == (5.0 if lag_counts[0] else 50.0)

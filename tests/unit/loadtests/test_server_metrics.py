from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.server_metrics import Scrape, read_scrape, worst_lag_ms

EXPOSITION = """\
# HELP dataserver_event_loop_lag_seconds How late a timer of the loop came.
# TYPE dataserver_event_loop_lag_seconds histogram
dataserver_event_loop_lag_seconds_bucket{le="0.001"} 90.0
dataserver_event_loop_lag_seconds_bucket{le="0.5"} 99.0
dataserver_event_loop_lag_seconds_bucket{le="+Inf"} 100.0
dataserver_event_loop_lag_seconds_count 100.0
dataserver_event_loop_lag_seconds_sum 1.5
# TYPE dataserver_event_loop_lag_worst_seconds gauge
dataserver_event_loop_lag_worst_seconds 0.75
# TYPE dataserver_memory_pss_bytes gauge
dataserver_memory_pss_bytes 5e+07
# TYPE dataserver_memory_memfd_bytes gauge
dataserver_memory_memfd_bytes 1024.0
# TYPE dataserver_pool_info gauge
dataserver_pool_info{kind="process",pool="readers"} 1.0
dataserver_pool_info{kind="process",pool="writers"} 1.0
# TYPE dataserver_pool_workers gauge
dataserver_pool_workers{pool="readers"} 2.0
dataserver_pool_workers{pool="writers"} 1.0
# TYPE dataserver_pool_workers_busy gauge
dataserver_pool_workers_busy{pool="readers"} 1.0
dataserver_pool_workers_busy{pool="writers"} 1.0
# TYPE dataserver_http_departures counter
dataserver_http_departures_total 3.0
"""


def scrape(*counts: float, worst_s: float) -> Scrape:
    edges = (0.001, 0.01, 0.1, float("inf"))
    return replace(
        read_scrape(EXPOSITION), lag_counts=dict(zip(edges, counts, strict=True)), lag_worst_s=worst_s
    )


def test_a_scrape_says_what_the_loop_the_memory_and_the_pools_are() -> None:
    assert read_scrape(EXPOSITION) == Scrape(
        lag_counts={0.001: 90.0, 0.5: 99.0, float("inf"): 100.0},
        lag_worst_s=0.75,
        memory_bytes=50_001_024,
        pool="2 process readers, 1 process writers",
        busy_count=2,
        departed_count=3,
    )


def test_the_lag_between_two_scrapes_is_the_highest_bucket_that_grew() -> None:
    before = scrape(5, 5, 5, 5, worst_s=0.09)
    after = scrape(9, 10, 10, 10, worst_s=0.09)
    assert worst_lag_ms(before, after) == pytest.approx(10.0)


def test_a_stall_of_long_ago_is_not_counted_again() -> None:
    before = scrape(5, 5, 5, 6, worst_s=3.0)
    after = scrape(9, 9, 9, 10, worst_s=3.0)
    assert worst_lag_ms(before, after) == pytest.approx(1.0)


def test_a_stall_above_all_buckets_is_as_long_as_the_gauge_says() -> None:
    before = scrape(5, 5, 5, 5, worst_s=0.001)
    after = scrape(5, 5, 5, 6, worst_s=0.75)
    assert worst_lag_ms(before, after) == pytest.approx(750.0)


def test_a_loop_that_did_not_turn_between_two_scrapes_has_shown_no_lag() -> None:
    same = scrape(5, 5, 5, 5, worst_s=0.75)
    assert worst_lag_ms(same, same) == 0.0

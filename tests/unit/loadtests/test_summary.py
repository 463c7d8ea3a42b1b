from __future__ import annotations

import pytest

from loadtests.samples import Answered, Outcome, Reading, Run
from loadtests.summary import by_second, summarise


def answered(
    name: str = "point read",
    *,
    at_s: float = 0.0,
    took_ms: float = 1.0,
    outcome: Outcome = "ok",
    detail: str = "",
) -> Answered:
    return Answered(begun_s=100.0 + at_s, name=name, took_ms=took_ms, outcome=outcome, detail=detail)


def run(*answers: Answered, readings: list[Reading] | None = None, seconds: float = 10.0) -> Run:
    return Run(
        label="workers on",
        begun_s=100.0,
        ended_s=100.0 + seconds,
        offered_per_s=20.0,
        answered=list(answers),
        readings=readings or [],
    )


def reading(*, lag_ms: float | None, memory_bytes: int = 1) -> Reading:
    return Reading(
        at_s=100.0, loop_lag_ms=lag_ms, memory_bytes=memory_bytes, scrape_ms=None if lag_ms is None else 1.0
    )


def test_a_refusal_is_counted_apart_from_a_failure_and_neither_is_timed() -> None:
    total = summarise(
        run(
            answered(took_ms=1.0),
            answered(took_ms=9_000.0, outcome="refused", detail="queue_full"),
            answered(took_ms=30_000.0, outcome="failed", detail="no answer"),
        )
    ).total
    assert (total.request_count, total.refused_count, total.failed_count, total.worst_ms) == (3, 1, 1, 1.0)


def test_failures_are_listed_with_what_was_asked_the_most_frequent_first() -> None:
    failed = [answered("page", outcome="failed", detail="500 internal")] * 2
    other = answered("write", outcome="failed", detail="409 conflict")
    assert summarise(run(other, *failed)).failures == (("page: 500 internal", 2), ("write: 409 conflict", 1))


@pytest.mark.parametrize("name", ["scan", "export", "filtered list"])
def test_what_may_read_whole_tables_is_no_small_request(name: str) -> None:
    summary = summarise(run(answered(took_ms=2.0), answered(name, took_ms=900.0)))
    assert (summary.small.p99_ms, summary.total.p99_ms) == (2.0, 900.0)


def test_rates_are_over_the_whole_run() -> None:
    summary = summarise(run(*[answered()] * 40, answered("page")))
    assert [(each.name, each.per_s) for each in summary.by_name] == [("page", 0.1), ("point read", 4.0)]


def test_a_reading_that_the_server_did_not_give_is_counted_and_not_taken_for_zero() -> None:
    summary = summarise(
        run(answered(), readings=[reading(lag_ms=4.0), reading(lag_ms=None), reading(lag_ms=8.0)])
    )
    assert (summary.loop_lag_worst_ms, summary.unread_count) == (8.0, 1)


def test_the_memory_shown_is_the_peak() -> None:
    readings = [reading(lag_ms=1.0, memory_bytes=count) for count in (5, 9, 7)]
    assert summarise(run(answered(), readings=readings)).memory_peak_bytes == 9


def test_a_second_in_which_nothing_was_asked_is_shown_as_empty() -> None:
    seconds = by_second(run(answered(at_s=0.2, took_ms=3.0), answered(at_s=2.9, took_ms=5.0), seconds=3.0))
    assert [(second.request_count, second.p99_ms) for second in seconds] == [(1, 3.0), (0, None), (1, 5.0)]


def test_a_scan_counts_as_a_request_of_its_second_but_not_into_its_p99() -> None:
    (second,) = by_second(run(answered(took_ms=3.0), answered("scan", took_ms=800.0), seconds=1.0))
    assert (second.request_count, second.p99_ms) == (2, 3.0)


def test_a_run_without_an_answer_has_no_percentiles() -> None:
    total = summarise(run()).total
    assert (total.request_count, total.p50_ms, total.p99_ms) == (0, None, None)

from __future__ import annotations

from workers.fingerprints import MAX_COUNT, QUICK_RUNS_TO_PARDON_COUNT, SlowFingerprints


def test_quick_runs_in_a_row_make_a_slow_kind_short_again() -> None:
    slow = SlowFingerprints(slow_us=20_000)
    slow.add("report")
    for _ in range(QUICK_RUNS_TO_PARDON_COUNT - 1):
        slow.observe("report", 100)
    assert "report" in slow
    slow.observe("report", 100)
    assert "report" not in slow


def test_one_slow_run_starts_the_count_anew() -> None:
    slow = SlowFingerprints(slow_us=20_000)
    slow.add("report")
    for run_us in (
        [100] * (QUICK_RUNS_TO_PARDON_COUNT - 1) + [15_000] + [100] * (QUICK_RUNS_TO_PARDON_COUNT - 1)
    ):
        slow.observe("report", run_us)
    assert "report" in slow


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    slow = SlowFingerprints(slow_us=20_000)
    for number in range(MAX_COUNT + 1):
        slow.add(number)
    assert 0 not in slow
    assert 1 in slow


def test_a_kind_that_was_never_slow_is_not_remembered() -> None:
    slow = SlowFingerprints(slow_us=20_000)
    slow.observe("point read", 50_000)
    assert "point read" not in slow

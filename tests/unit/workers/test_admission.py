from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import PoolSaturated
from workers.admission import MAX_RETRY_AFTER_S, MIN_RETRY_AFTER_S, Admission


def admission(*, waiting: int = 3, size_bytes: int = 1_000) -> Admission:
    return Admission(running={"short": 2, "scan": 1}, max_waiting_count=waiting, max_waiting_bytes=size_bytes)


def test_as_many_are_admitted_as_run_and_wait_and_the_next_is_refused() -> None:
    door = admission()
    for _ in range(2 + 3):
        door.admit("short", 1)
    with pytest.raises(PoolSaturated, match="3 calls wait already") as caught:
        door.admit("short", 1)
    assert (caught.value.reason, door.outstanding_count, door.rejected) == (
        "queue_full",
        5,
        {"queue_full": 1},
    )


def test_a_full_lane_leaves_the_other_open() -> None:
    door = admission(waiting=1)
    for _ in range(2):
        door.admit("scan", 1)
    with pytest.raises(PoolSaturated):
        door.admit("scan", 1)
    door.admit("short", 1)


def test_a_refused_call_holds_no_bytes() -> None:
    door = admission(size_bytes=10)
    door.admit("short", 8)
    with pytest.raises(PoolSaturated) as caught:
        door.admit("short", 3)
    assert (caught.value.reason, door.held_bytes) == ("bytes_full", 8)
    door.admit("short", 2)


def test_a_modest_tenant_has_a_spare_place_where_another_filled_all_and_those_too_are_bounded() -> None:
    door = admission(waiting=8)
    for _ in range(2 + 8):
        door.admit("short", 0)
    for _ in range(2):
        door.admit("short", 0, is_modest=True)
    with pytest.raises(PoolSaturated):
        door.admit("short", 0, is_modest=True)


def busy(door: Admission, *, answered: int, elapsed_s: float) -> None:
    """Let calls be answered while three are out all the time, twice: the first look only sees that it is so."""
    for _ in range(3):
        door.admit("short", 0)
    for now in (1.0, 2.0):
        for _ in range(answered):
            door.release("short", 1, 0)
            door.admit("short", 0)
        door.observe_rate(answered, elapsed_s, now)


def test_a_call_that_would_be_answered_too_late_is_told_when_it_would_not() -> None:
    door = admission()
    busy(door, answered=100, elapsed_s=1.0)
    door.require_time("short", 50, 0.6)
    with pytest.raises(PoolSaturated, match="50 calls come before") as caught:
        door.require_time("short", 50, 0.2)
    assert caught.value.reason == "no_time"
    assert caught.value.retry_after_s == pytest.approx(0.3)
    assert door.rejected == {"no_time": 1}


def test_a_lane_that_has_no_more_than_its_workers_can_do_refuses_nobody_for_want_of_time() -> None:
    door = admission()
    for now in range(100):
        door.admit("scan", 0)
        door.observe_rate(0, 1.0, float(now))
        door.release("scan", 1, 0)
    door.require_time("scan", 1_000, 0.001)


@given(st.lists(st.tuples(st.sampled_from(["short", "scan"]), st.integers(0, 300)), max_size=50))
def test_what_is_admitted_and_released_leaves_nothing_behind(calls: list[tuple[str, int]]) -> None:
    door = admission()
    held = []
    for lane, size_bytes in calls:
        try:
            door.admit(lane, size_bytes)  # type: ignore[arg-type]  # hypothesis gives plain strings
        except PoolSaturated:
            continue
        held.append((lane, size_bytes))
        assert door.held_bytes <= 1_000
    for lane, size_bytes in held:
        door.release(lane, 1, size_bytes)  # type: ignore[arg-type]  # as above
    assert (door.outstanding_count, door.held_bytes) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 10)), max_size=20), st.integers(0, 5))
def test_the_advice_to_come_back_is_always_a_sensible_time(
    rates: list[tuple[int, float]], count: int
) -> None:
    door = admission()
    for _ in range(count):
        door.admit("short", 0)
    for completed_count, elapsed_s in rates:
        door.observe_rate(completed_count, elapsed_s)
    assert MIN_RETRY_AFTER_S <= door.retry_after_s() <= MAX_RETRY_AFTER_S

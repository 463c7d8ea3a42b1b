from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.queue.pace import MOST, SMALL, USUAL, Pace, after_turn, claim_size, most_times


def idle(pace: Pace, *, claimed_count: int = 8, asked_count: int = 8) -> Pace:
    return after_turn(
        pace, most=MOST, was_idle=True, is_behind=False, claimed_count=claimed_count, asked_count=asked_count
    )


def test_handlers_that_wait_for_the_disk_get_more_lanes_up_to_a_limit() -> None:
    paces = [USUAL]
    for _ in range(6):
        paces.append(idle(paces[-1]))

    assert [pace.lanes for pace in paces] == [1, 2, 4, 8, 16, 16, 16]
    assert {pace.actions for pace in paces} == {1}


def test_where_there_are_no_more_lanes_they_get_longer_pieces_of_them() -> None:
    assert idle(USUAL, claimed_count=1) == Pace(1, 2)
    assert idle(Pace(1, MOST), claimed_count=1) == Pace(1, MOST)


def test_lanes_and_pieces_are_traded_for_each_other_at_the_limit() -> None:
    assert idle(Pace(16, 1), claimed_count=1) == Pace(8, 2)
    assert idle(Pace(1, 16)) == Pace(2, 8)


def test_handlers_that_are_busy_get_no_more() -> None:
    pace = Pace(2, 4)
    assert (
        after_turn(pace, most=MOST, was_idle=False, is_behind=False, claimed_count=3, asked_count=3) == pace
    )


def test_handlers_that_fall_behind_get_less() -> None:
    assert after_turn(
        Pace(4, 2), most=MOST, was_idle=False, is_behind=True, claimed_count=3, asked_count=3
    ) == Pace(2, 1)


def test_after_a_turn_that_was_too_large_many_claims_take_one_action_each() -> None:
    pace, sizes = SMALL, []
    for _ in range(SMALL.small_count):
        sizes.append(claim_size(pace, 8, 10))
        pace = idle(pace, claimed_count=1, asked_count=1)

    assert set(sizes) == {(1, 1)}
    assert pace == USUAL
    assert claim_size(pace, 8, 10) == (8, 10)


def test_many_handlers_claim_much_as_usual_and_little_more() -> None:
    assert [most_times(usual_count) for usual_count in (20, 80, 640, 1_280, 5_000)] == [16, 16, 2, 1, 1]


def test_an_empty_queue_starts_again_as_usual() -> None:
    assert idle(Pace(8, 2), claimed_count=0) == USUAL


@given(
    most=st.integers(1, MOST),
    turns=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 200), st.integers(1, 200))),
)
def test_the_pace_stays_within_its_limits_whatever_happens(
    most: int, turns: list[tuple[bool, bool, int, int]]
) -> None:
    pace = USUAL
    for was_idle, is_behind, claimed_count, asked_count in turns:
        pace = after_turn(
            pace,
            most=most,
            was_idle=was_idle,
            is_behind=is_behind,
            claimed_count=claimed_count,
            asked_count=asked_count,
        )
        assert pace.lanes >= 1
        assert pace.actions >= 1
        assert pace.lanes * pace.actions <= most

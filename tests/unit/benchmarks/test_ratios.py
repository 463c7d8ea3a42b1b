from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.ratios import Bound, Row, median_ratio, versus

RATES = st.floats(min_value=0.01, max_value=1e9)


def row(
    *,
    ours: float | None,
    peer: float | None = 10.0,
    ratio: float | None = None,
    floor: Bound | None = None,
    goal: Bound | None = None,
) -> Row:
    return Row(
        group="g",
        what="w",
        peer_name="p",
        unit="ms",
        ours=ours,
        peer=peer,
        ratio=ratio,
        floor=floor,
        goal=goal,
    )


def test_a_ratio_above_one_means_that_ours_is_better_for_rates_and_for_times() -> None:
    assert median_ratio([200.0], [100.0], "higher") == 2.0
    assert median_ratio([50.0], [100.0], "lower") == 2.0


def test_the_ratio_is_made_round_by_round_so_that_a_slow_round_of_the_machine_cancels_out() -> None:
    ours = [100.0, 10.0, 100.0]
    peer = [50.0, 5.0, 50.0]
    assert median_ratio(ours, peer, "higher") == 2.0


def test_rounds_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="3 rounds of ours, 2 of the peer"):
        median_ratio([1.0, 1.0, 1.0], [1.0, 1.0], "higher")


@given(st.lists(st.tuples(RATES, RATES), min_size=1, max_size=9))
def test_the_two_directions_of_a_comparison_mirror_each_other(rounds: list[tuple[float, float]]) -> None:
    ours, peer = [list(side) for side in zip(*rounds, strict=True)]
    assert median_ratio(ours, peer, "higher") == pytest.approx(median_ratio(peer, ours, "lower"))


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(15.0, "goal"), (14.9, "floor"), (10.0, "floor"), (9.9, "BELOW")]
)
def test_the_verdict_names_the_best_limit_that_a_ratio_keeps(ratio: float, verdict: str) -> None:
    assert row(ours=1.0, ratio=ratio, floor=Bound(limit=10), goal=Bound(limit=15)).verdict == verdict


def test_a_limit_on_ours_is_an_upper_one() -> None:
    floor, goal = Bound(limit=10, of="ours"), Bound(limit=2, of="ours")
    assert row(ours=2.0, floor=floor, goal=goal).verdict == "goal"
    assert row(ours=9.0, floor=floor, goal=goal).verdict == "floor"
    assert row(ours=10.1, floor=floor, goal=goal).verdict == "BELOW"


def test_a_limit_on_the_difference_is_how_much_ours_may_be_above_the_peer() -> None:
    floor, goal = Bound(limit=20, of="difference"), Bound(limit=5, of="difference")
    assert row(ours=15.0, peer=10.0, floor=floor, goal=goal).verdict == "goal"
    assert row(ours=30.0, peer=10.0, floor=floor, goal=goal).verdict == "floor"
    assert row(ours=31.0, peer=10.0, floor=floor, goal=goal).verdict == "BELOW"


def test_a_row_that_only_has_a_goal_is_below_when_it_misses_it() -> None:
    assert row(ours=1.0, ratio=0.5, goal=Bound(limit=0.6)).verdict == "BELOW"
    assert row(ours=1.0, ratio=0.6, goal=Bound(limit=0.6)).verdict == "goal"


def test_a_row_without_a_budget_or_without_figures_has_no_verdict() -> None:
    assert row(ours=1.0, ratio=3.0).verdict == "-"
    assert row(ours=None, peer=None, floor=Bound(limit=10), goal=Bound(limit=2, of="ours")).verdict == "-"


def test_a_row_shows_the_medians_of_both_sides() -> None:
    made = versus(
        group="g",
        what="w",
        ours=[3.0, 1.0, 2.0],
        peer_name="p",
        peer=[1.0, 1.0, 1.0],
        unit="/s",
        floor=Bound(limit=2),
    )
    assert (made.ours, made.peer, made.ratio, made.verdict) == (2.0, 1.0, 2.0, "floor")


def test_a_peer_that_did_not_run_leaves_a_row_without_a_ratio() -> None:
    made = versus(group="g", what="w", ours=[3.0], peer_name="p", peer=[], unit="/s", note="no Node here")
    assert (made.ours, made.peer, made.ratio, made.note) == (3.0, None, None, "no Node here")

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.doubts import DOUBT_S, WINDOW_S, Doubts


def doubted() -> Doubts:
    doubts = Doubts()
    doubts.demoted("heavy", 10.0)
    doubts.demoted("heavy", 10.0 + WINDOW_S)
    return doubts


def test_one_slow_call_is_forgiven_and_so_are_two_that_are_far_apart() -> None:
    doubts = Doubts()
    doubts.demoted("a", 10.0)
    doubts.demoted("a", 10.1 + WINDOW_S)
    doubts.demoted("b", 10.1 + WINDOW_S)
    assert not doubts
    assert not doubts.has("a", "new", 11.2)


def test_after_two_a_new_text_is_doubted_but_neither_a_quick_one_nor_another_tenant_s() -> None:
    doubts = doubted()
    doubts.quick("known")
    assert doubts
    assert doubts.has("heavy", "new", 11.0)
    assert not doubts.has("heavy", "known", 11.0)
    assert not doubts.has("light", "new", 11.0)


def test_a_text_that_was_quick_as_a_scan_is_known_from_then_on() -> None:
    doubts = doubted()
    doubts.ran("heavy", "new", 11.0, is_slow=False)
    assert not doubts.has("heavy", "new", 11.0)


def test_the_doubt_ends_and_is_renewed_by_what_is_slow_again() -> None:
    doubts = doubted()
    doubts.ran("heavy", "scan", 12.0, is_slow=True)
    assert doubts.has("heavy", "new", 11.0 + WINDOW_S + DOUBT_S)
    assert not doubts.has("heavy", "new", 12.1 + DOUBT_S)
    assert not doubts


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 0.3)), max_size=60))
def test_nobody_is_doubted_for_what_another_did(steps: list[tuple[str, float]]) -> None:
    doubts, now = Doubts(), 0.0
    for tenant, later_s in steps:
        now += later_s
        doubts.demoted(tenant, now)
        assert not doubts.has("c", "new", now)


def test_what_is_remembered_is_bounded() -> None:
    doubts = Doubts()
    for number in range(10_000):
        doubts.demoted(f"tenant {number}", 1.0)
        doubts.demoted(f"tenant {number}", 1.0)
        doubts.quick(number)
    assert max(len(doubts._demoted), len(doubts._until), len(doubts._quick)) <= 4_000

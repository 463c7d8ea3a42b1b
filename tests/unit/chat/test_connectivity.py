from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.errors import Failure, FailureKind
from chat.queue import connectivity
from chat.queue.connectivity import Contact

chances = st.floats(0, 1)


@given(st.integers(0, 10**6), st.integers(0, 2**50), chances)
def test_a_queue_without_contact_knocks_after_ever_longer_waits_up_to_the_longest(
    misses: int, now_ms: int, chance: float
) -> None:
    before = Contact(is_online=False, misses=misses)
    after = connectivity.missed(before, now_ms, first_ms=1_000, most_ms=30_000, chance=chance)

    assert not after.may_deliver()
    assert 500 <= after.knock_ms - now_ms <= 30_000
    assert after.may_knock(after.knock_ms)
    assert not after.may_knock(after.knock_ms - 1)


def test_nobody_knocks_while_the_caller_says_that_there_is_no_contact() -> None:
    lost = connectivity.missed(Contact(), 0, first_ms=1, most_ms=1, chance=1.0)
    held = connectivity.held(lost)

    assert not held.may_knock(10**9)
    assert not connectivity.found(held).may_deliver()
    assert connectivity.let_go() == Contact()


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_only_what_a_server_said_shows_that_it_is_there(kind: FailureKind) -> None:
    is_said = kind in {"rate", "auth", "conflict", "target_gone"}

    assert connectivity.is_answer(Failure(kind, kind), is_done=False) is is_said
    assert connectivity.is_answer(Failure(kind, kind, status=500), is_done=False)


def test_what_ended_without_a_failure_shows_it_only_if_it_was_done() -> None:
    assert connectivity.is_answer(None, is_done=True)
    assert not connectivity.is_answer(None, is_done=False)

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from storage.log_pressure import LAST_PATIENCE_S, PATIENCE_S, patience_s

SIZES = st.integers(0, 10_000)


def test_a_log_in_the_first_half_of_its_bound_ends_no_read() -> None:
    assert patience_s(499, 1_000) == inf
    assert (patience_s(500, 1_000), patience_s(999, 1_000)) == (PATIENCE_S, PATIENCE_S)
    assert patience_s(1_000, 1_000) == LAST_PATIENCE_S


@given(SIZES, SIZES, st.integers(1, 10_000))
def test_the_longer_the_log_the_shorter_the_patience(size: int, more: int, bound: int) -> None:
    assert LAST_PATIENCE_S <= patience_s(size + more, bound) <= patience_s(size, bound)

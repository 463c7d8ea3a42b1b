"""An old refresh token is good again only while its answer may have been lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.domain.renewing import RefreshState, on_refresh

tokens = st.binary(min_size=1, max_size=2)
states = st.builds(RefreshState, tokens, st.none() | tokens, st.integers(0, 100))


@given(states, tokens, st.booleans(), st.integers(0, 100))
def test_nothing_is_given_after_the_end_of_its_time(
    state: RefreshState, shown: bytes, is_used: bool, now_ms: int
) -> None:
    verdict = on_refresh(state, shown, is_used=is_used, now_ms=now_ms)

    assert (verdict == "unknown") == (now_ms >= state.expires_at_ms)


@given(states, tokens, st.booleans())
def test_a_token_that_is_neither_the_present_one_nor_perhaps_lost_ends_the_session(
    state: RefreshState, shown: bytes, is_used: bool
) -> None:
    verdict = on_refresh(state, shown, is_used=is_used, now_ms=-1)

    may_be_lost = shown == state.previous and not is_used
    assert (verdict == "end") == (shown != state.present and not may_be_lost)


@given(states, st.booleans())
def test_the_present_token_is_always_renewed(state: RefreshState, is_used: bool) -> None:
    assert on_refresh(state, state.present, is_used=is_used, now_ms=-1) == "renew"

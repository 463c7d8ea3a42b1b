"""Only whole tokens of ours are taken for tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.domain.refusals import UnknownSession
from chat.domain.session_tokens import bearer, new_access_token, new_family, new_refresh_token, refresh_hashes


def test_the_refresh_tokens_of_a_device_share_their_family_and_nothing_else() -> None:
    family = new_family()
    one, other = (refresh_hashes(new_refresh_token(family)) for _ in range(2))
    strangers = refresh_hashes(new_refresh_token(new_family()))

    assert one.family == other.family != strangers.family
    assert len({one.own, other.own, strangers.own, one.family}) == 4


@given(st.text(max_size=80) | st.builds(lambda tail: "dsr_" + tail, st.text(max_size=80)))
def test_any_other_text_is_no_refresh_token(text: str) -> None:
    with pytest.raises(UnknownSession):
        refresh_hashes(text)


def test_a_refresh_token_that_was_cut_or_grew_is_none() -> None:
    token = new_refresh_token(new_family())
    for changed in (token + "a", token[:-1], token + "\n", token.upper()):
        with pytest.raises(UnknownSession):
            refresh_hashes(changed)


def test_the_header_may_write_bearer_as_it_likes() -> None:
    token = new_access_token().encode()

    assert bearer(b"Bearer " + token) == bearer(b"bearer  " + token) == token


@pytest.mark.parametrize("header", [None, b"", b"Basic abc", b"Bearer", b"Bearer " + b"x" * 600])
def test_what_is_no_bearer_token_is_refused(header: bytes | None) -> None:
    with pytest.raises(UnknownSession):
        bearer(header)

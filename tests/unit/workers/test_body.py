from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import Body
from workers.body import spilled


@given(st.lists(st.binary(max_size=100), max_size=700), st.integers(1, 64))
def test_slices_put_together_are_the_whole_in_memory_and_in_a_file(
    parts: list[bytes], size_bytes: int
) -> None:
    whole = b"".join(parts)
    kept = Body(parts)
    with kept, Body.from_file(spilled(kept), kept.length) as filed:
        for body in (kept, filed):
            slices = list(body.chunks(size_bytes))
            assert body.length == len(whole)
            assert b"".join(slices) == whole
            assert all(len(each) <= size_bytes for each in slices)


def test_a_closed_body_gives_its_file_back_and_can_be_closed_again() -> None:
    body = Body.from_file(spilled(Body([b"x"])), 1)
    fd = body.fd
    assert fd is not None
    body.close()
    body.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_body_that_was_forgotten_warns_and_gives_its_file_back() -> None:
    body = Body.from_file(spilled(Body([b"x"])), 1)
    with pytest.warns(ResourceWarning, match="never closed"):
        del body


def test_a_closed_body_is_not_read_as_an_empty_one() -> None:
    body = Body([b"x"])
    body.close()
    with pytest.raises(ValueError, match="closed"):
        list(body.chunks())


def test_a_file_that_was_cut_short_is_an_error() -> None:
    fd = spilled(Body([b"abc"]))
    with Body.from_file(fd, 5) as body, pytest.raises(ValueError, match="ends at 3 of 5"):
        list(body.chunks())

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.sqlite import row_encoding
from storage.sqlite.row_encoding import csv_header, valid_utf8


@given(st.binary(max_size=200), st.integers(1, 8))
def test_what_is_not_utf8_is_replaced_as_python_does_it_wherever_slices_end(
    answer: bytes, slice_bytes: int
) -> None:
    before, row_encoding._SLICE_BYTES = row_encoding._SLICE_BYTES, slice_bytes
    try:
        assert valid_utf8(answer) == answer.decode("utf-8", "replace").encode()
    finally:
        row_encoding._SLICE_BYTES = before


@given(st.text())
def test_text_is_left_alone(text: str) -> None:
    answer = text.encode("utf-8", "ignore")
    assert valid_utf8(answer) is answer


@pytest.mark.parametrize(
    ("names", "header"),
    [(["a", "a"], b'"a","a_2"\r\n'), (['say "x"', "a,b"], b'"say ""x""","a,b"\r\n'), ([""], b'""\r\n')],
)
def test_a_header_of_csv_is_in_quotes(names: list[str], header: bytes) -> None:
    assert csv_header(names) == header

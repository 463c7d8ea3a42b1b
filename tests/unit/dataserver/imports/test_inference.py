"""Which type a column gets, and that no value changes by it."""

from __future__ import annotations

import functools
import json
import math
import operator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataserver.imports.inference import (
    seen_in_csv,
    seen_in_json,
    stored_csv,
    stored_json,
    type_of_csv,
    type_of_json,
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)
)
NUMBER_TEXTS = st.one_of(
    st.integers(min_value=-(2**70), max_value=2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"\A-?[0-9]{0,22}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,4})?\Z"),
)
FIELDS = st.one_of(st.just(""), NUMBER_TEXTS, st.text(max_size=5))


def json_type(*values: object) -> str:
    return type_of_json(functools.reduce(operator.or_, map(seen_in_json, values)))


def csv_type(*fields: str) -> str:
    return type_of_csv(functools.reduce(operator.or_, map(seen_in_csv, fields)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, -5], "INTEGER"),
        ([True, False, 3], "INTEGER"),
        ([2**63 - 1, 0], "INTEGER"),
        ([1.5, 2, None], "REAL"),
        ([1.5, 2**53 + 1], "ANY"),
        ([2**63], "ANY"),
        (["a", None], "TEXT"),
        (["a", {"b": 1}, [1]], "TEXT"),
        (["a", 1], "ANY"),
        ([True, 1.5], "ANY"),
        ([None], "ANY"),
    ],
)
def test_a_json_columns_type(values: list[object], expected: str) -> None:
    assert json_type(*values) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["1", "", "-5"], "INTEGER"),
        (["9223372036854775807"], "INTEGER"),
        (["9223372036854775808"], "TEXT"),
        (["1.5", "2", ""], "REAL"),
        (["1e5", ".5", "-0.25E-3"], "REAL"),
        (["1.5", "9007199254740993"], "TEXT"),
        (["007"], "TEXT"),
        (["+1"], "TEXT"),
        (["-0"], "TEXT"),
        (["1_000"], "TEXT"),
        ([" 1"], "TEXT"),
        (["\u0661"], "TEXT"),
        (["1e999"], "TEXT"),
        (["1e-999"], "TEXT"),
        (["0.1000000000000000055511151231257827"], "TEXT"),
        (["nan"], "TEXT"),
        (["inf"], "TEXT"),
        (["1.5", "a"], "TEXT"),
        ([""], "TEXT"),
    ],
)
def test_a_csv_columns_type(fields: list[str], expected: str) -> None:
    assert csv_type(*fields) == expected


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_every_json_value_is_stored_as_its_column_allows_and_comes_back(values: list[object]) -> None:
    column = json_type(*values)
    for value in values:
        stored = stored_json(value)
        if stored is None:
            assert value is None
        elif column == "INTEGER":
            assert isinstance(stored, int)
            assert -(2**63) <= stored < 2**63
            assert stored == value
        elif column == "REAL":
            assert isinstance(stored, int | float)
            assert float(stored) == value
        elif column == "TEXT":
            assert isinstance(stored, str)
        if isinstance(value, list | dict):
            assert json.loads(str(stored)) == value
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            assert stored == str(value)


@given(st.lists(FIELDS, min_size=1, max_size=6))
def test_every_csv_field_is_stored_as_its_column_allows_and_means_the_same(fields: list[str]) -> None:
    column = csv_type(*fields)
    for text in fields:
        stored = stored_csv(text, msgspec.convert(column, str))
        if column == "TEXT":
            assert stored == text
        elif not text:
            assert stored is None
        elif column == "INTEGER":
            assert isinstance(stored, int)
            assert str(stored) == text
        else:
            assert isinstance(stored, float)
            assert math.isfinite(stored)
            assert stored == float(text)


@given(st.lists(VALUES, min_size=1, max_size=6), st.randoms())
def test_the_order_of_the_lines_does_not_matter(values: list[object], random: object) -> None:
    shuffled = values[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's Random
    assert json_type(*shuffled) == json_type(*values)


def test_a_field_that_does_not_fit_an_existing_column_is_left_for_sqlite_to_refuse() -> None:
    assert stored_csv("abc", "INTEGER") == "abc"
    assert stored_csv("1_000", "INTEGER") == "1_000"
    assert stored_csv("1e999", "REAL") == "1e999"
    assert stored_csv("9223372036854775808", "INTEGER") == "9223372036854775808"

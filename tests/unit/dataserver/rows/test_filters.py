"""Filters select what a person would, and no text of a client ever becomes SQL."""

from __future__ import annotations

from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataserver.refusals import InvalidParameter, UnknownColumn, UnknownOperator
from dataserver.rows.columns import Column, affinity_of, bound, quoted
from dataserver.rows.filters import MAX_FILTER_COUNT, MAX_LIST_COUNT, OPERATORS, conditions

ROWS: list[tuple[Any, ...]] = [
    (1, "Ann", 30, 1.5, None),
    (2, "ann", 31, -2.0, 5),
    (3, "50%", 9, 0.0, "5"),
    (4, "", None, None, b"5"),
    (5, "x__gte", 100, 30.0, 30),
]
COLUMNS = {
    "id": Column("id", "integer", nullable=False),
    "name": Column("name", "text", nullable=True),
    "age": Column("age", "integer", nullable=True),
    "score": Column("score", "real", nullable=True),
    "odd": Column("odd", "blob", nullable=True),
    "limit": Column("limit", "integer", nullable=True),
    "a__b": Column("a__b", "integer", nullable=True),
}


def selected(*parameters: tuple[str, str]) -> list[int]:
    """Return the ids of the rows that the filters select."""
    connection = apsw.Connection(":memory:")
    connection.execute(
        'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, score REAL, odd, "limit" INT, "a__b" INT)'
    )
    connection.executemany("INSERT INTO t (id, name, age, score, odd) VALUES (?, ?, ?, ?, ?)", ROWS)
    connection.execute('UPDATE t SET "limit" = id * 10, "a__b" = id * 100')
    found = conditions(parameters, COLUMNS)
    where = " AND ".join(condition.sql for condition in found) or "1"
    params = [param for condition in found for param in condition.params]
    return [row[0] for row in connection.execute(f"SELECT id FROM t WHERE {where} ORDER BY id", params)]  # noqa: S608


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([], [1, 2, 3, 4, 5]),
        ([("name", "Ann")], [1]),
        ([("name__eq", "Ann")], [1]),
        ([("name__ne", "Ann")], [2, 3, 4, 5]),
        ([("name__like", "a%")], [1, 2]),
        ([("name__like", "50\\%")], [3]),
        ([("name__like", "50%")], [3]),
        ([("name__glob", "a*")], [2]),
        ([("age__gte", "30")], [1, 2, 5]),
        ([("age__gt", "30")], [2, 5]),
        ([("age__lt", "30")], [3]),
        ([("age__lte", "30")], [1, 3]),
        ([("age__gte", "9"), ("age__lt", "31")], [1, 3]),
        ([("age__in", "9,31,77")], [2, 3]),
        ([("name__in", "Ann,,50%")], [1, 3, 4]),
        ([("age__isnull", "1")], [4]),
        ([("age__isnull", "0")], [1, 2, 3, 5]),
        ([("score", "30")], [5]),
        ([("score__lt", "-1.5")], [2]),
        ([("odd", "5")], [2]),
        ([("limit__eq", "30")], [3]),
        ([("limit", "30")], [1, 2, 3, 4, 5]),
        ([("a__b", "300")], [3]),
        ([("a__b__gt", "300")], [4, 5]),
        ([("name", "x__gte")], [5]),
        ([("name", "' OR 1=1 --")], []),
    ],
)
def test_filters_select_the_rows_that_meet_them(
    parameters: list[tuple[str, str]], expected: list[int]
) -> None:
    assert selected(*parameters) == expected


def test_an_unknown_column_is_refused_with_the_columns_there_are() -> None:
    with pytest.raises(UnknownColumn) as refused:
        conditions([("nope", "1")], COLUMNS)
    assert refused.value.details == {"column": "nope", "allowed": list(COLUMNS)}


def test_an_unknown_operator_is_refused_with_the_operators_there_are() -> None:
    with pytest.raises(UnknownOperator) as refused:
        conditions([("age__about", "1")], COLUMNS)
    assert refused.value.details == {"operator": "about", "allowed": list(OPERATORS)}


@pytest.mark.parametrize(
    "parameters",
    [
        [("age__isnull", "maybe")],
        [("age__in", ",".join(["1"] * (MAX_LIST_COUNT + 1)))],
        [("age", "1")] * (MAX_FILTER_COUNT + 1),
    ],
)
def test_what_is_past_a_bound_is_refused(parameters: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidParameter):
        conditions(parameters, COLUMNS)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_name_is_quoted_so_that_it_stays_a_name(name: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(f"CREATE TABLE t ({quoted(name)} INTEGER)")
    column = Column(name, "integer", nullable=True)
    (condition,) = conditions([(f"{name}__eq", "7")], {name: column})
    connection.execute(f"INSERT INTO t ({column.sql}) VALUES (7), (8)")  # noqa: S608
    assert list(connection.execute(f"SELECT * FROM t WHERE {condition.sql}", condition.params)) == [(7,)]  # noqa: S608


@given(st.text(max_size=30), st.sampled_from(sorted(OPERATORS)))
def test_any_value_is_bound_or_refused_and_never_part_of_the_sql(text: str, operator: str) -> None:
    try:
        (condition,) = conditions([(f"name__{operator}", text)], COLUMNS)
    except InvalidParameter:
        return
    assert condition.sql.replace(", ?", "").replace("?", "") in {
        '"name" = ', '"name" <> ', '"name" < ', '"name" <= ', '"name" > ', '"name" >= ', '"name" IN ()',
        '"name" LIKE  ESCAPE \'\\\'', '"name" GLOB ', '"name" IS NULL', '"name" IS NOT NULL',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "affinity"),
    [
        ("INTEGER", "integer"), ("tinyint", "integer"), ("FLOATING POINT", "integer"), ("VARCHAR(9)", "text"),
        ("CLOB", "text"), ("BLOB", "blob"), ("", "blob"), ("ANY", "blob"), ("DOUBLE", "real"), ("DECIMAL(1,2)", "numeric"),
    ],
)  # fmt: skip
def test_affinity_follows_the_rules_of_sqlite_in_their_order(declared: str, affinity: str) -> None:
    assert affinity_of(declared) == affinity


def test_only_whole_numbers_that_fit_are_bound_as_numbers() -> None:
    texts = ["5", "-5", "0", "007", "5.0", " 5", "1e3", "\u0665", str(2**63), str(2**63 - 1)]
    assert [bound(text, "integer") for text in texts] == [
        5, -5, 0, "007", "5.0", " 5", "1e3", "\u0665", str(2**63), 2**63 - 1,
    ]  # fmt: skip

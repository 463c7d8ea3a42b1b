from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.sqlite.json_results import (
    Column,
    JsonRules,
    Origin,
    can_wrap,
    csv_lines,
    row_by_row,
    text_as_bytes,
    unique_names,
    whole_answer,
)

NAMES = st.lists(st.sampled_from(["a", "a_2", "a_3", "a_2_2", "b", ""]), max_size=12)


@given(NAMES)
def test_numbered_names_are_unique_and_first_ones_stay(names: list[str]) -> None:
    found = unique_names(names)
    assert len(set(found)) == len(found) == len(names)
    for place, name in enumerate(names):
        if name not in names[:place]:
            assert found[place] == name
        else:
            assert found[place].startswith(f"{name}_")


@given(NAMES)
def test_names_that_are_unique_are_left_alone(names: list[str]) -> None:
    assert unique_names(unique_names(names)) == unique_names(names)


@pytest.mark.parametrize(
    ("form", "most"), [("objects", 500), ("arrays", 1_000), ("csv", 999), ("json", 500), ("ndjson", 500)]
)
def test_sqlite_writes_as_many_columns_as_its_functions_take(form: str, most: int) -> None:
    assert can_wrap(most, form)  # type: ignore[arg-type]
    assert not can_wrap(most + 1, form)  # type: ignore[arg-type]
    assert not can_wrap(0, form)  # type: ignore[arg-type]


def test_a_proven_column_is_written_without_a_guard() -> None:
    sql = whole_answer("SELECT id FROM t", [Column("id", Origin.PROVEN)], "objects", JsonRules())
    assert sql == (
        "WITH q(c0) AS (SELECT id FROM t\n) SELECT CAST(group_concat(json_object('id', c0)) AS BLOB) FROM q"
    )


@pytest.mark.parametrize("write", [whole_answer, row_by_row])
def test_a_name_cannot_end_the_text_it_stands_in(write: type) -> None:
    sql = write("SELECT 1", [Column("it's", Origin.PROVEN)], "objects", JsonRules())
    assert "'it''s', c0" in str(sql)


@pytest.mark.parametrize(
    "made",
    [
        whole_answer("SELECT q, Q_Q FROM q", [Column("q", Origin.STORED)], "arrays", JsonRules()),
        csv_lines("SELECT q, Q_Q FROM q", [Column("q", Origin.STORED)]),
        text_as_bytes("SELECT q, Q_Q FROM q", [Column("q", Origin.STORED)]),
    ],
)
def test_the_wrapping_has_a_name_that_the_query_does_not(made: str) -> None:
    assert made.startswith("WITH q_q_q(c0) AS (SELECT q, Q_Q FROM q\n)")


def test_what_is_computed_is_held_back_from_being_computed_twice() -> None:
    columns = [Column("a", Origin.PROVEN), Column("b", Origin.COMPUTED)]
    sql = whole_answer("SELECT a, f(b) AS b FROM t", columns, "objects", JsonRules())
    assert "(SELECT * FROM (SELECT a, f(b) AS b FROM t\n) LIMIT -1)" in sql
    assert sql.endswith(" WHERE 1")

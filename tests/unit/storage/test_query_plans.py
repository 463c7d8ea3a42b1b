"""What is told of SQLite's plans, asked of SQLite itself."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.query_plans import MissingIndex, PlanStep, QueryPlan, plan_of

SCHEMA = """
CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
CREATE TABLE u(x, y, t_id);
CREATE INDEX ux ON u(x);
CREATE TABLE "my table"(a);
CREATE VIRTUAL TABLE words USING fts5(word);
"""


def planned(sql: str) -> QueryPlan:
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    try:
        return plan_of(connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("sql", "full_scans"),
    [
        ("SELECT * FROM t WHERE id = 1", []),
        ("SELECT * FROM t WHERE a = 1", ["t"]),
        ("SELECT * FROM t AS z", ["z"]),
        ('SELECT * FROM "my table"', ["my table"]),
        ("SELECT count(*) FROM u", []),
        ("SELECT x FROM u ORDER BY x", []),
        ("SELECT a FROM t UNION ALL SELECT y FROM u", ["t", "u"]),
        ("SELECT * FROM t, t AS other", ["t", "other"]),
        ("SELECT * FROM u LEFT JOIN t ON t.id = u.y OR t.a = 3", ["u", "t"]),
        ("SELECT * FROM words WHERE words MATCH 'x'", []),
        ("SELECT * FROM json_each('[1]')", []),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT * FROM n, t", ["t"]),
        ("DELETE FROM t WHERE b = 2", ["t"]),
        ("UPDATE t SET a = 1 WHERE id = 2", []),
    ],
)
def test_tables_that_are_read_whole_are_named(sql: str, full_scans: list[str]) -> None:
    assert planned(sql).full_scans == full_scans


def test_an_index_that_sqlite_makes_for_one_statement_is_named_as_missing() -> None:
    plan = planned("SELECT * FROM t JOIN u ON t.a = u.y")
    assert plan.missing_indexes == [MissingIndex("u", ["y"])]
    assert planned("SELECT * FROM t JOIN u ON t.a = u.x").missing_indexes == []


def test_what_is_sorted_aside_is_named() -> None:
    assert planned("SELECT DISTINCT a FROM t GROUP BY b ORDER BY a").sorts == [
        "GROUP BY",
        "DISTINCT",
        "ORDER BY",
    ]
    assert planned("SELECT * FROM t ORDER BY id").sorts == []


def test_the_plan_is_a_tree() -> None:
    plan = planned("SELECT * FROM t WHERE a IN (SELECT y FROM u WHERE u.t_id = t.id)")
    assert plan.steps == [
        PlanStep("SCAN t", []),
        PlanStep("CORRELATED LIST SUBQUERY 1", [PlanStep("SCAN u", [])]),
    ]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.just(0), st.text(max_size=20))))
def test_no_line_is_lost_whatever_its_words(rows: list[tuple[int, int, int, str]]) -> None:
    def count(steps: list[PlanStep]) -> int:
        return sum(1 + count(step.steps) for step in steps)

    forward = [(number + 1, min(parent, number), 0, text) for number, (_, parent, _, text) in enumerate(rows)]
    assert count(plan_of(forward).steps) == len(rows)

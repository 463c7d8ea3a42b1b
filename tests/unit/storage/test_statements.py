from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.sqlite.statements import HeavyTexts, changes_rows_only, first_word, is_blank


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("insert into t values (1)", "INSERT"),
        ("  ;; -- a note\n /* and\n another */ Delete from t", "DELETE"),
        ("/* never closed", ""),
        ("-- only a note", ""),
        ("", ""),
        ("(select 1)", ""),
        ("/**/vacuum", "VACUUM"),
    ],
)
def test_the_first_word_stands_past_blanks_and_comments(sql: str, word: str) -> None:
    assert first_word(sql) == word
    assert first_word(" " * 5_000 + sql) == word


@pytest.mark.parametrize("sql", ["", " \n;", "-- note", "/* a * b ** */ ; -- c", "/* open", "/***/"])
def test_blanks_semicolons_and_comments_are_no_statement(sql: str) -> None:
    assert is_blank(sql)


@pytest.mark.parametrize("sql", ["x", "/* a */ b", "- - c", "; select 1", "*/"])
def test_anything_else_is(sql: str) -> None:
    assert not is_blank(sql)


@given(st.text(alphabet=";/*- \nx", max_size=2_000).map(lambda text: text * 50))
def test_a_hostile_text_is_looked_at_in_linear_time(sql: str) -> None:
    # a regular expression that goes back would hang here, which the test's time limit ends
    assert is_blank(sql) in {True, False}


def test_schema_and_file_statements_change_more_than_rows() -> None:
    rows = ["WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", "replace into t values (1)", "VALUES (1)"]
    other = [
        "CREATE INDEX i ON t (a)",
        "drop table t",
        "ALTER TABLE t ADD b",
        "REINDEX",
        "ANALYZE",
        "EXPLAIN SELECT 1",
    ]

    assert [sql for sql in rows + other if changes_rows_only(sql)] == rows


def test_only_the_latest_heavy_texts_are_remembered() -> None:
    heavy = HeavyTexts(2, max_chars=10)
    for sql in ("a", "b", "a", "c", "longer than ten"):
        heavy.add(sql)

    assert [sql for sql in ("a", "b", "c", "longer than ten") if sql in heavy] == ["a", "c"]
    heavy.discard("a")
    heavy.discard("never seen")
    assert "a" not in heavy

from __future__ import annotations

from typing import Any

import apsw
import pytest

from storage import errors
from storage.errors import ConstraintViolated, StorageError
from storage.sqlite.errors import FROM_SQLITE, OUR_BUGS, translated, translation

NEEDED: dict[type, dict[str, Any]] = {
    errors.StorageSaturated: {"retry_after_s": 1.0},
    errors.HistoryLost: {"cursor": "0123456789abcdef-1"},
    errors.QueryTooCostly: {"limit_steps": 1_000_000},
}
OURS = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, StorageError)
]


def test_every_error_of_sqlite_is_mapped_or_known_to_be_a_bug_of_ours() -> None:
    found = {
        value for value in vars(apsw).values() if isinstance(value, type) and issubclass(value, apsw.Error)
    }
    assert found == {kind for kind in FROM_SQLITE if kind.__module__ == "apsw"} | OUR_BUGS
    assert set(FROM_SQLITE).isdisjoint(OUR_BUGS)


@pytest.mark.parametrize("kind", FROM_SQLITE, ids=lambda kind: kind.__name__)
def test_an_error_of_sqlite_becomes_ours_and_keeps_its_cause(kind: type[apsw.Error]) -> None:
    with pytest.raises(StorageError) as caught, translated():
        raise kind("said by SQLite")
    assert isinstance(caught.value.__cause__, kind)
    assert str(caught.value)


@pytest.mark.parametrize("kind", sorted(OUR_BUGS, key=str), ids=lambda kind: kind.__name__)
def test_a_bug_of_ours_passes_untouched(kind: type[apsw.Error]) -> None:
    with pytest.raises(kind), translated():
        raise kind("said by SQLite")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO t(u, n) VALUES(1, 1)", "unique"),
        ("INSERT INTO t(id, u, n) VALUES(1, 2, 1)", "primary_key"),
        ("INSERT INTO t(u, n) VALUES(3, NULL)", "not_null"),
        ("INSERT INTO t(u, n) VALUES(4, -1)", "check"),
        ("INSERT INTO t(u, n, f) VALUES(5, 1, 99)", "foreign_key"),
        ("INSERT INTO t(u, n) VALUES(6, 'no number')", "datatype"),
        ("INSERT INTO t(id, u, n) VALUES('no number', 7, 1)", "datatype"),
        ("DELETE FROM t", "trigger"),
        ("INSERT INTO k VALUES(1)", "primary_key"),
    ],
)
def test_a_violated_rule_is_named(sql: str, expected: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(
        """
        PRAGMA foreign_keys = 1;
        CREATE TABLE t(
            id INTEGER PRIMARY KEY, u UNIQUE, n INT NOT NULL CHECK (n > 0), f INT REFERENCES t(id)
        );
        CREATE TABLE k(a INT PRIMARY KEY) WITHOUT ROWID;
        CREATE TRIGGER g BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'rows stay'); END;
        INSERT INTO t(id, u, n) VALUES(1, 1, 1);
        INSERT INTO k VALUES(1);
        """
    )
    if expected == "datatype" and "id" not in sql:
        connection.execute("DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, u ANY, n INT) STRICT")
    with pytest.raises(ConstraintViolated) as caught, translated():
        connection.execute(sql)
    assert caught.value.kind == expected


def test_bad_sql_is_told_with_its_place() -> None:
    connection = apsw.Connection(":memory:")
    with pytest.raises(apsw.SQLError) as caught:
        connection.execute("SELECT 1 FRM t x")
    found: Any = translation(caught.value)
    assert found.offset == 13


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_an_error_says_what_to_do_and_can_be_made_anew_from_its_details(kind: type[StorageError]) -> None:
    assert kind.__doc__
    error = kind("what happened", **NEEDED.get(kind, {}))
    again = type(error)(str(error), **error.details)
    assert str(again) == "what happened"
    assert again.details == error.details


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    tree = errors.__doc__ or ""
    for kind in OURS:
        assert f"{kind.__name__} " in tree

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from storage.errors import StorageError
from tests.support.writing import WriterBench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """
CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE CHECK (name <> 'refused')) STRICT;
CREATE TABLE part (
    id INTEGER PRIMARY KEY,
    item TEXT REFERENCES item (name) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
    now TEXT REFERENCES item (name)
) STRICT;
CREATE TABLE log (entry TEXT) STRICT;
CREATE TRIGGER rolls_back BEFORE INSERT ON item WHEN new.name = 'rolls back'
    BEGIN SELECT RAISE(ROLLBACK, 'rolled back'); END;
CREATE TRIGGER fails AFTER INSERT ON item WHEN new.name = 'fails'
    BEGIN INSERT INTO log VALUES ('half'); SELECT RAISE(FAIL, 'failed'); END;
CREATE TRIGGER aborts AFTER INSERT ON item WHEN new.name = 'aborts'
    BEGIN INSERT INTO log VALUES ('none'); SELECT RAISE(ABORT, 'aborted'); END;
CREATE TRIGGER ignores BEFORE INSERT ON item WHEN new.name = 'ignored'
    BEGIN INSERT INTO log VALUES ('kept'); SELECT RAISE(IGNORE); END;
CREATE TRIGGER logs AFTER DELETE ON item BEGIN INSERT INTO log VALUES (old.name); END;
"""
NAMES = ("a", "b", "c", "d", "rolls back", "fails", "aborts", "ignored", "refused", None)
names = st.sampled_from(NAMES)

one_name = [
    "INSERT INTO item (name) VALUES (?)",
    "INSERT OR ROLLBACK INTO item (name) VALUES (?)",
    "INSERT OR ABORT INTO item (name) VALUES (?)",
    "INSERT OR FAIL INTO item (name) VALUES (?)",
    "INSERT OR IGNORE INTO item (name) VALUES (?)",
    "INSERT OR REPLACE INTO item (name) VALUES (?)",
    "INSERT INTO item (name) VALUES (?) RETURNING id, name",
    "INSERT INTO item (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name || '+' RETURNING name",
    "DELETE FROM item WHERE name = ?",
    "DELETE FROM item WHERE name >= ? RETURNING name",
    "INSERT INTO part (item) VALUES (?)",
    "INSERT INTO part (now) VALUES (?)",
    "UPDATE part SET item = ? WHERE id = 1",
    "INSERT INTO log VALUES (?)",
]
two_names = [
    "UPDATE OR ROLLBACK item SET name = ? WHERE name = ?",
    "UPDATE OR FAIL item SET name = ? WHERE name >= ?",
    "UPDATE item SET name = ? WHERE name = ?",
    "INSERT INTO item (name) VALUES (?), (?)",
    "INSERT OR FAIL INTO item (name) VALUES (?), (?)",
    "INSERT OR ROLLBACK INTO item (name) VALUES (?), (?)",
]
no_name = [
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT request",
    "RELEASE request",
    "PRAGMA foreign_keys = OFF",
    "INSERT INTO nowhere VALUES (1)",
    "DELETE FROM log; COMMIT",
    "DELETE FROM part",
    "SELECT count(*) FROM item",
]
statement: st.SearchStrategy[tuple[str, list[Any]]] = st.one_of(
    st.tuples(st.sampled_from(one_name), st.lists(names, min_size=1, max_size=1)),
    st.tuples(st.sampled_from(two_names), st.lists(names, min_size=2, max_size=2)),
    st.tuples(st.sampled_from(no_name), st.just([])),
    st.just((one_name[0], ["too", "many"])),
)
request = st.one_of(statement, statement, st.lists(statement, max_size=4))
"""One statement as a pair, or a list of several."""


def alone(connection: apsw.Connection, statements: list[tuple[str, list[Any]]]) -> Any:
    """Run a request as SQLite does when nobody else is there; the rules for callers are told by hand."""
    answers = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        for sql, params in statements:
            if sql in no_name[:5]:
                raise apsw.AuthError(sql)
            if sql == "DELETE FROM log; COMMIT":
                raise apsw.SQLError(sql)
            connection.set_last_insert_rowid(0)
            before = connection.total_changes()
            rows = connection.execute(sql, params).fetchall()
            changes = 0 if before == connection.total_changes() else connection.changes()
            answers.append([changes, connection.last_insert_rowid(), *([rows] if rows else [])])
        connection.execute("COMMIT")
    except apsw.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return type(error).__name__
    return answers


def as_told(outcome: Any, *, is_single: bool) -> Any:
    """Return an outcome of the writer in the words of `alone`."""
    if isinstance(outcome, Exception):
        assert isinstance(outcome, StorageError)
        assert outcome.__cause__ is not None or type(outcome).__name__ in {"SqlError", "NotAllowed"}
        return {
            "ConstraintViolated": "ConstraintError",
            "NotAllowed": "AuthError",
            "ParameterMismatch": "BindingsError",
            "SqlError": "SQLError",
        }[type(outcome).__name__]
    answers = [outcome] if is_single else outcome
    return [[*answer[:2], *answer[3:]] if answer[3:] != [[]] else answer[:2] for answer in answers]


def contents(connection: apsw.Connection) -> list[Any]:
    return [
        connection.execute(sql).fetchall()
        for sql in (
            "SELECT id, name FROM item ORDER BY id",
            "SELECT id, item, now FROM part ORDER BY id",
            "SELECT entry FROM log ORDER BY rowid",
            "SELECT seq FROM sqlite_sequence",
        )
    ]


@contextmanager
def both(folder: Path) -> Iterator[tuple[WriterBench, apsw.Connection]]:
    """Give a writer and a plain connection, each with an empty database of the same schema."""
    for file in folder.iterdir():
        file.unlink()
    bench = WriterBench(folder)
    bench.own("PRAGMA synchronous = OFF")
    bench.own(SCHEMA)
    plain = apsw.Connection(":memory:")
    plain.execute("PRAGMA foreign_keys = ON")
    plain.execute(SCHEMA)
    try:
        yield bench, plain
    finally:
        plain.close()
        bench.close()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(request, min_size=1, max_size=12), min_size=1, max_size=3))
@example([[("INSERT INTO part (item) VALUES (?)", ["a"]), ("INSERT INTO item (name) VALUES (?)", ["a"])]])
@example(
    [
        [
            (one_name[0], ["a"]),
            ("INSERT OR FAIL INTO item (name) VALUES (?), (?)", ["b", "a"]),
            (one_name[0], ["c"]),
        ]
    ]
)
@example(
    [
        [
            (one_name[0], ["a"]),
            [(one_name[0], ["b"]), ("INSERT OR ROLLBACK INTO item (name) VALUES (?)", ["a"])],
        ]
    ]
)
@example(
    [[(one_name[0], ["fails"]), (one_name[0], ["aborts"]), (one_name[0], ["ignored"]), (one_name[0], ["a"])]]
)
def test_each_request_of_a_batch_ends_as_it_would_have_alone(
    tmp_path: Path, batches: list[list[Any]]
) -> None:
    with both(tmp_path) as (bench, plain):
        for batch in batches:
            calls = [
                bench.write(*each) if isinstance(each, tuple) else bench.write_all(*each) for each in batch
            ]
            outcomes = bench.run(*calls)

            expected = [alone(plain, [each] if isinstance(each, tuple) else each) for each in batch]
            told = [
                as_told(outcome, is_single=isinstance(each, tuple))
                for outcome, each in zip(outcomes, batch, strict=True)
            ]
            assert told == expected
            assert not bench.connection().in_transaction
            assert contents(bench.connection()) == contents(plain)


def test_the_plain_connection_is_no_echo_of_the_writer(tmp_path: Path) -> None:
    with both(tmp_path) as (_, plain):
        assert alone(plain, [("INSERT INTO part (item) VALUES (?)", ["a"])]) == "ConstraintError"
        assert alone(plain, [(one_name[0], ["a"])]) == [[1, 1]]
        with pytest.raises(apsw.Error):
            plain.execute("COMMIT")

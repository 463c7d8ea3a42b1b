from __future__ import annotations

import apsw
import pytest

from storage.sqlite.untrusted import ReadAuthorizer, refusal


@pytest.mark.parametrize(
    ("first", "second", "allowed"),
    [
        ("table_info", "t", True),
        ("TABLE_INFO", "t", True),
        ("user_version", None, True),
        ("user_version", "3", False),
        ("query_only", None, False),
        ("query_only", "0", False),
        ("wal_checkpoint", "TRUNCATE", False),
        ("no_such_pragma", None, False),
    ],
)
def test_a_pragma_is_allowed_by_name_and_only_if_it_tells(
    first: str, second: str | None, allowed: bool
) -> None:
    assert (refusal(apsw.SQLITE_PRAGMA, first, second) is None) == allowed


@pytest.mark.parametrize(
    "action", [apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH, apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT]
)
def test_what_is_refused_is_remembered_until_the_next_statement(action: int) -> None:
    authorizer = ReadAuthorizer()
    assert authorizer(action, "x", None, None, None) == apsw.SQLITE_DENY
    assert authorizer.refused
    authorizer.reset()
    assert authorizer.refused is None


def test_statements_of_ours_are_not_asked_about_and_not_counted() -> None:
    authorizer = ReadAuthorizer()
    authorizer.is_ours = True
    assert authorizer(apsw.SQLITE_PRAGMA, "query_only", "1", None, None) == apsw.SQLITE_OK
    assert authorizer(apsw.SQLITE_SELECT, None, None, None, None) == apsw.SQLITE_OK
    assert authorizer.select_count == 0
    assert authorizer.prepared


REFUSED_FUNCTIONS = {"fts3_tokenizer", "fts5", "geopoly_debug", "load_extension", "optimize", "sqlite_log"}
"""What reaches beyond the answer, or is a means of SQLite's own developers."""


def test_each_function_of_sqlite_was_looked_at_and_allowed_or_refused() -> None:
    connection = apsw.Connection(":memory:")
    names = {name for (name,) in connection.execute("SELECT name FROM pragma_function_list")}
    assert {name for name in names if refusal(apsw.SQLITE_FUNCTION, None, name)} == REFUSED_FUNCTIONS
    assert refusal(apsw.SQLITE_FUNCTION, None, "ABS") is None
    assert refusal(apsw.SQLITE_FUNCTION, None, "of_a_later_version") is not None


@pytest.mark.parametrize(
    "change",
    [
        "RENAME TO u", "RENAME COLUMN a TO z", "ADD COLUMN c NOT NULL DEFAULT 1 CHECK (c > 0)", "DROP COLUMN b",
        "ADD CONSTRAINT k CHECK (a > 0)", "ALTER COLUMN a SET NOT NULL", "ALTER COLUMN a DROP NOT NULL",
    ],
)  # fmt: skip
def test_what_sqlite_calls_itself_to_alter_a_table_is_allowed_and_no_callers_to_call(change: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a, b)")
    connection.authorizer = lambda *about: apsw.SQLITE_DENY if refusal(*about[:3]) else apsw.SQLITE_OK
    connection.execute(f"ALTER TABLE t {change}")
    with pytest.raises(apsw.SQLError, match="no such function"):
        connection.execute("SELECT sqlite_rename_table(1, 2, 3, 4, 5, 6, 7)")

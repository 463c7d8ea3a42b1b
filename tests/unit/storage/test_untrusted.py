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

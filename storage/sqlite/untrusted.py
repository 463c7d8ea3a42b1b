"""What a caller's SQL may do on a reading connection.

SQLite asks the authorizer about each part of a statement while it prepares it, and again whenever it has to prepare
it anew because the schema changed. So the authorizer is also the one who notices that, at no cost for a statement
that is run from the cache: `prepared` is set.

Statements that write are let through here: `inspection` refuses them by `sqlite3_stmt_readonly`, and can say that
they belong to `execute`. The connection is read-only and `query_only` besides.
"""

from __future__ import annotations

import apsw

_PRAGMAS_THAT_TELL = frozenset(
    {
        "application_id",
        "collation_list",
        "compile_options",
        "data_version",
        "encoding",
        "freelist_count",
        "function_list",
        "module_list",
        "page_count",
        "page_size",
        "pragma_list",
        "schema_version",
        "user_version",
    }
)
"""Allowed without a value."""
_PRAGMAS_ABOUT_A_TABLE = frozenset(
    {
        "foreign_key_check",
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
"""Allowed with a value too, which is a name or a number of rows."""
_REFUSED_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer"})
_REFUSED_ACTIONS = {
    apsw.SQLITE_ATTACH: "ATTACH is not allowed",
    apsw.SQLITE_DETACH: "DETACH is not allowed",
    apsw.SQLITE_TRANSACTION: "statements that control transactions are not allowed",
    apsw.SQLITE_SAVEPOINT: "statements that control transactions are not allowed",
}


def refusal(action: int, first: str | None, second: str | None) -> str | None:
    """Return why `action` is not allowed, None if it is; the arguments are those of SQLite's authorizer."""
    if action == apsw.SQLITE_PRAGMA:
        name = (first or "").lower()
        if name in _PRAGMAS_ABOUT_A_TABLE or (name in _PRAGMAS_THAT_TELL and second is None):
            return None
        return f"PRAGMA {name} is not allowed" + (" with a value" if name in _PRAGMAS_THAT_TELL else "")
    if action == apsw.SQLITE_FUNCTION and (second or "").lower() in _REFUSED_FUNCTIONS:
        return f"the function {second} is not allowed"
    return _REFUSED_ACTIONS.get(action)


class ReadAuthorizer:
    """Answers SQLite's questions about one connection's statements, and keeps what it learned from them."""

    __slots__ = ("is_ours", "prepared", "refused", "select_count", "tables")

    def __init__(self) -> None:
        self.is_ours = False
        """Set while statements of this package are prepared, which may do anything a reader can."""
        self.prepared = False
        """Something was prepared since this was last set to False."""
        self.reset()

    def reset(self) -> None:
        """Forget what was learned, before a statement is inspected."""
        self.refused: str | None = None
        self.select_count = 0
        self.tables: set[str] = set()

    def __call__(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,  # noqa: ARG002 - SQLite gives it
        trigger: str | None,  # noqa: ARG002
    ) -> int:
        """Answer SQLite."""
        self.prepared = True
        if self.is_ours:
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_READ:
            self.tables.add((first or "").lower())
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_SELECT:
            self.select_count += 1
            return apsw.SQLITE_OK
        why = refusal(action, first, second)
        if why is None:
            return apsw.SQLITE_OK
        self.refused = why
        return apsw.SQLITE_DENY

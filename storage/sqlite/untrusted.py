"""What a caller's SQL may do on a reading connection.

SQLite asks the authorizer about each part of a statement while it prepares it, and again whenever it has to prepare
it anew because the schema changed. So the authorizer is also the one who notices that, at no cost for a statement
that is run from the cache: `prepared` is set.

Statements that write are let through here: `inspection` refuses them by `sqlite3_stmt_readonly`, and can say that
they belong to `execute`. The connection is read-only and `query_only` besides.

Pragmas and functions are allowed by name: what a later SQLite brings is refused until somebody has looked at it.
"""

from __future__ import annotations

import apsw

from storage.sqlite.json_results import BLOB_FUNCTION

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
_FUNCTIONS = frozenset(
    # SIM905: as a list, it is a line a name
    """
    -> ->> abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce concat concat_ws cos
    cosh count cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value
    floor format fts5_get_locale fts5_insttoken fts5_locale fts5_source_id geopoly_area geopoly_bbox geopoly_blob
    geopoly_ccw geopoly_contains_point geopoly_group_bbox geopoly_json geopoly_overlap geopoly_regular geopoly_svg
    geopoly_within geopoly_xform glob group_concat hex highlight if ifnull iif instr json json_array json_array_insert
    json_array_length json_error_position json_extract json_group_array json_group_object json_insert json_object
    json_patch json_pretty json_quote json_remove json_replace json_set json_type json_valid jsonb jsonb_array
    jsonb_array_insert jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch
    jsonb_remove jsonb_replace jsonb_set julianday lag last_insert_rowid last_value lead length like likelihood likely
    ln log log10 log2 lower ltrim match matchinfo max median min mod nth_value ntile nullif octet_length offsets
    percent_rank percentile percentile_cont percentile_disc pi pow power printf quote radians raise random randomblob
    rank replace round row_number rtreecheck rtreedepth rtreenode rtrim sign sin sinh snippet sqlite_compileoption_get
    sqlite_compileoption_used sqlite_source_id sqlite_version sqrt strftime string_agg substr substring subtype sum tan
    tanh time timediff total total_changes trim trunc typeof unhex unicode unistr unistr_quote unixepoch unlikely upper
    zeroblob
    """.split()  # noqa: SIM905
) | {BLOB_FUNCTION}
_FUNCTIONS_OF_ALTER_TABLE = frozenset(
    """
    sqlite_add_constraint sqlite_drop_column sqlite_drop_constraint sqlite_fail sqlite_find_constraint
    sqlite_rename_column sqlite_rename_quotefix sqlite_rename_table sqlite_rename_test
    """.split()  # noqa: SIM905
)
"""SQLite calls them itself, and tells a caller who names one that it is unknown."""
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
    if action == apsw.SQLITE_FUNCTION:
        name = (second or "").lower()
        known = name in _FUNCTIONS or name in _FUNCTIONS_OF_ALTER_TABLE
        return None if known else f"the function {second} is not allowed"
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

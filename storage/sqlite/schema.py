"""What a database's schema says, asked of SQLite and kept until the schema changes."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw

from storage.full_text import INDEX_PREFIX, search_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.sqlite.untrusted import ReadAuthorizer

_TYPES_WITHOUT_BLOBS = frozenset({"INT", "INTEGER", "REAL", "TEXT"})
_MAX_TABLES_KEPT_COUNT = 1_000

_VERSION = "PRAGMA schema_version"
_ANY_READ = "SELECT 1 FROM sqlite_schema LIMIT 1"
"""Makes SQLite's schema that of the file: to ask for its version or to prepare a statement need not, to run one does."""
_TABLE = "SELECT wr, strict FROM pragma_table_list(?) WHERE schema = 'main' AND type = 'table'"
_COLUMNS = "SELECT name, type, pk FROM pragma_table_xinfo(?)"
_KEY_INDEXES = "SELECT count(*) FROM pragma_index_list(?) WHERE origin = 'pk'"

_TABLES = f"""
SELECT name, type, wr, strict FROM pragma_table_list
WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND substr(name, 1, 7) <> 'sqlite_'
    AND NOT (type = 'virtual' AND substr(name, 1, {len(INDEX_PREFIX)}) = '{INDEX_PREFIX}')
ORDER BY name
"""  # noqa: S608 - a constant, here and below
_SEARCHED = f"""
SELECT tbl_name FROM sqlite_schema
WHERE type = 'trigger' AND name = '{INDEX_PREFIX}' || tbl_name || '_insert'
"""  # noqa: S608
_ALL_COLUMNS = (
    'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid'
)
_HAS_ESTIMATES = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'"
_ESTIMATES = "SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl"


class Schema:
    """One connection's view of its database's schema."""

    def __init__(self, connection: apsw.Connection, authorizer: ReadAuthorizer) -> None:
        self._connection = connection
        self._authorizer = authorizer
        self._blob_free: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._version: int = self._rows(_VERSION)[0][0]
        self._rows(_ANY_READ)

    def has_changed(self) -> bool:
        """Return whether the schema is another than when this was last asked, and forget what was known if so.

        What SQLite prepares from then on is of that schema, or of a newer one, by which this is true again.
        """
        version = self._other_version()
        if version is None:
            return False
        self._version = version
        self._blob_free.clear()
        return True

    def read_anew(self) -> bool:
        """Return whether the schema is another than `has_changed` last knew, and have SQLite read it if so."""
        return self._other_version() is not None

    def blob_free_columns(self, table: str) -> frozenset[str]:
        """Return the columns of `table` that can't hold a BLOB: the rowid, and typed ones of a STRICT table."""
        known = self._blob_free.get(table)
        if known is None:
            known = self._blob_free[table] = self._found_blob_free(table)
            if len(self._blob_free) > _MAX_TABLES_KEPT_COUNT:
                self._blob_free.popitem(last=False)
        return known

    def tables(self) -> list[list[Any]]:
        """Return, by name, `[name, is_view, has_rowid, strict, estimate, columns, searched]` of each table and view.

        A column is `[name, type, not_null, default, primary_key_position]`; `searched` are the columns of the table's
        search index.
        """
        searched = {name for (name,) in self._rows(_SEARCHED)}
        has_estimates = self._rows(_HAS_ESTIMATES)[0][0]
        estimates = dict(self._rows(_ESTIMATES)) if has_estimates else {}
        return [
            [
                name,
                kind == "view",
                kind != "view" and not without_rowid,
                bool(strict),
                estimates.get(name),
                self._columns_of(name),
                [column[0] for column in self._columns_of(search_table(name))] if name in searched else [],
            ]
            for name, kind, without_rowid, strict in self._rows(_TABLES)
        ]

    def _columns_of(self, table: str) -> list[list[Any]]:
        try:
            found = self._rows(_ALL_COLUMNS, table)
        except apsw.SQLError:  # a view of what is no longer there has no columns to tell
            return []
        return [
            [name, kind, bool(not_null), default, place] for name, kind, not_null, default, place in found
        ]

    def _found_blob_free(self, table: str) -> frozenset[str]:
        facts = self._rows(_TABLE, table)
        if not facts:
            return frozenset()
        without_rowid, strict = facts[0]
        columns = self._rows(_COLUMNS, table)
        names = {name for name, kind, _ in columns if strict and kind.upper() in _TYPES_WITHOUT_BLOBS}
        if not without_rowid:
            keys = [(name, kind.upper()) for name, kind, place in columns if place]
            # INTEGER PRIMARY KEY DESC is no rowid: it has an index of its own and takes any value
            if len(keys) == 1 and keys[0][1] == "INTEGER" and not self._rows(_KEY_INDEXES, table)[0][0]:
                names.add(keys[0][0])
            if not any(name.lower() == "rowid" for name, _, _ in columns):
                names.add("rowid")
        return frozenset(names)

    def _other_version(self) -> int | None:
        version: int = self._rows(_VERSION)[0][0]
        if version == self._version:
            return None
        self._rows(_ANY_READ)
        return version

    def _rows(self, sql: str, *params: str) -> list[Any]:
        with self.as_ours():
            return list(self._connection.execute(sql, params))

    @contextmanager
    def as_ours(self) -> Iterator[None]:
        """Let the statements prepared inside do what callers' may not."""
        self._authorizer.is_ours = True
        try:
            yield
        finally:
            self._authorizer.is_ours = False
            self._authorizer.prepared = False

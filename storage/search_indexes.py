"""Search indexes of a database: made, dropped, and told with its tables (`TableInfo.searched_columns`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import TableNotSearchable
from storage.full_text import SearchIndex, drop_statements, make_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database import Database
    from storage.full_text import Tokenizer
    from storage.tables import TableInfo


async def make_search_index(
    database: Database,
    table: str,
    columns: Sequence[str],
    *,
    tokenizer: Tokenizer = "words",
    timeout_s: float | None = None,
) -> None:
    """Index the texts in `columns` of `table` for search, in place of an index that may be there; kept from then on.

    It is one transaction, which takes some seconds a million rows; nobody else writes meanwhile. For how to ask it see
    `storage.search_table`.

    Raises:
        TableNotSearchable: There is no such table or column, or the table has no INTEGER PRIMARY KEY.
        StorageError: As `Database.execute_batch`; nothing was changed.
    """
    found = {info.name: info for info in await database.tables()}.get(table)
    if found is None or found.kind != "table":
        raise TableNotSearchable(f"there is no table {table!r}")
    names = {column.name for column in found.columns}
    missing = [column for column in columns if column not in names]
    if missing or not columns or len(set(columns)) != len(columns):
        raise TableNotSearchable(
            f"the columns of a search index are some of the table's, each once; {missing or list(columns)} are not"
        )
    index = SearchIndex(table=table, key=_key_of(found), columns=tuple(columns), tokenizer=tokenizer)
    await database.execute_batch([(sql, ()) for sql in make_statements(index)], timeout_s=timeout_s)


async def drop_search_index(database: Database, table: str, *, timeout_s: float | None = None) -> None:
    """Drop the search index of `table`; without one nothing happens.

    Raises:
        StorageError: As `Database.execute_batch`.
    """
    await database.execute_batch([(sql, ()) for sql in drop_statements(table)], timeout_s=timeout_s)


def _key_of(info: TableInfo) -> str:
    types = {column.name: column.type.upper() for column in info.columns}
    if not info.has_rowid or len(info.primary_key) != 1 or types[info.primary_key[0]] != "INTEGER":
        raise TableNotSearchable(
            f"the table {info.name!r} has no INTEGER PRIMARY KEY, which a search index needs"
        )
    return info.primary_key[0]

"""What a load asks for, found out from the server itself: any tables will do, those with real lengths are preferred.

`survey` asks the server; everything it decides is in the pure functions below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.api import Api

WRITTEN_DATABASE = "loadtest"
"""Made for a run and dropped after it: the load writes nowhere else."""
WRITTEN_TABLE = "notes"

_KEYS_COUNT = 500
_LIST_VALUES_COUNT = 20
_MIN_PAGED_ROWS = 100
_MIN_LISTED_ROWS = 200
_MIN_LISTED_VALUES = 2
_SCANNED_ROWS_COUNT = 700_000  # about 0.3 s of work, whatever the tables hold
_TEXT_TYPES = ("CHAR", "TEXT", "CLOB")


class KeyedTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table whose rows have one-part addresses, with some of them."""

    path: str
    keys: list[str]


class ListedTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table with a column to filter by, values of it that have rows, and a column to order by."""

    path: str
    column: str
    values: list[str]
    order: str


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that reads every row of the largest table, over and over if that is small."""

    database: str
    sql: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the scenarios ask for; a scenario with nothing to ask for is left out."""

    keyed: list[KeyedTable]
    paged: list[str]
    listed: list[ListedTable]
    exported: list[str]
    scans: list[Scan]
    written_path: str


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column as the server describes it."""

    name: str
    type: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table as the server describes it, with its true number of rows."""

    database: str
    name: str
    columns: list[Column]
    key: list[str]
    row_count: int

    @property
    def rows_path(self) -> str:
        """Where its rows are."""
        return f"/v1/databases/{quote(self.database)}/tables/{quote(self.name, safe='')}/rows"

    @property
    def texts(self) -> list[str]:
        """The names of its columns of text that are no key."""
        return [
            column.name for column in self.columns if is_text(column.type) and column.name not in self.key
        ]


def survey(api: Api) -> Plan:
    """Ask the server what it has, make the table that the load writes, and return what to ask for."""
    tables = [
        table
        for database in api.get("/v1/databases")["databases"]
        if database != WRITTEN_DATABASE
        for table in _tables(api, database)
    ]
    if not tables:
        raise ValueError("the server holds no table with rows: there is nothing to ask for")
    if WRITTEN_DATABASE not in api.get("/v1/databases")["databases"]:
        api.ask("PUT", f"/v1/databases/{WRITTEN_DATABASE}")
    api.execute(
        WRITTEN_DATABASE,
        f"CREATE TABLE IF NOT EXISTS {WRITTEN_TABLE}"
        " (id INTEGER PRIMARY KEY, author INTEGER NOT NULL, body TEXT NOT NULL) STRICT",
    )
    largest = max(tables, key=lambda table: table.row_count)
    return Plan(
        keyed=[
            KeyedTable(path=table.rows_path, keys=keys)
            for table in tables
            if len(table.key) == 1 and (keys := _keys(api, table))
        ],
        paged=paged(tables),
        listed=[listed for table in tables if (listed := _listed(api, table)) is not None],
        exported=[export_path(largest)],
        scans=[Scan(database=largest.database, sql=scan_sql(largest))],
        written_path=f"/v1/databases/{WRITTEN_DATABASE}/tables/{WRITTEN_TABLE}/rows",
    )


def paged(tables: Sequence[Table]) -> list[str]:
    """Return the row paths of the tables that have more than a page."""
    return [table.rows_path for table in tables if table.key and table.row_count >= _MIN_PAGED_ROWS]


def export_path(table: Table) -> str:
    """Return where all rows of a table stream from."""
    return f"/v1/databases/{quote(table.database)}/export?table={quote(table.name, safe='')}&format=ndjson"


def scan_sql(table: Table) -> str:
    """Return a statement that groups all rows by a column, so often that it takes its time."""
    passes = max(1, round(_SCANNED_ROWS_COUNT / table.row_count))
    by = quoted((table.texts or [column.name for column in table.columns])[0])
    return (
        f"WITH RECURSIVE pass(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM pass WHERE n < {passes}) "  # noqa: S608 - names come from the server and are quoted
        f"SELECT lower(substr({by}, 1, 3)) AS beginning, count(*) AS how_many "
        f"FROM pass CROSS JOIN {quoted(table.name)} GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
    )


def is_text(declared: str) -> bool:
    """Tell whether a declared type holds text."""
    return any(word in declared.upper() for word in _TEXT_TYPES)


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def _tables(api: Api, database: str) -> list[Table]:
    described = api.get(f"/v1/databases/{quote(database)}/tables")["tables"]
    found = []
    for table in described:
        if table["kind"] != "table":
            continue
        ((row_count,),) = api.query(database, f"SELECT count(*) FROM {quoted(table['name'])}")  # noqa: S608 - a quoted name
        if row_count:
            found.append(
                Table(
                    database=database,
                    name=table["name"],
                    columns=msgspec.convert(table["columns"], list[Column]),
                    key=table["key"],
                    row_count=row_count,
                )
            )
    return found


def _keys(api: Api, table: Table) -> list[str]:
    key = quoted(table.key[0])
    step = max(1, table.row_count // _KEYS_COUNT)
    sql = f"SELECT k FROM (SELECT {key} AS k, row_number() OVER () AS n FROM {quoted(table.name)}) WHERE n % ? = 0 LIMIT ?"  # noqa: S608 - quoted names
    return [quote(str(key), safe="") for (key,) in api.query(table.database, sql, [step, _KEYS_COUNT])]


def _listed(api: Api, table: Table) -> ListedTable | None:
    if table.row_count < _MIN_LISTED_ROWS or not table.key:
        return None
    for name in table.texts:
        sql = f"SELECT {quoted(name)}, count(*) FROM {quoted(table.name)} WHERE {quoted(name)} <> '' GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC LIMIT ?"  # noqa: S608 - quoted names
        rows: list[list[Any]] = api.query(table.database, sql, [_LIST_VALUES_COUNT])
        if len(rows) >= _MIN_LISTED_VALUES:
            values = [str(value) for value, _ in rows]
            order = next((c.name for c in table.columns if not is_text(c.type)), table.columns[0].name)
            return ListedTable(path=table.rows_path, column=name, values=values, order=f"-{order}")
    return None

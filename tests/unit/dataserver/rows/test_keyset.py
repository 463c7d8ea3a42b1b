"""Pages put together are the whole result in its order: nothing skipped, nothing twice."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataserver.refusals import InvalidCursor, InvalidParameter, UnknownColumn
from dataserver.rows.columns import columns_of
from dataserver.rows.keys import key_of
from dataserver.rows.keyset import Order, Place, order_of, read_cursor, write_cursor
from dataserver.rows.pages import Page, next_cursor, page_end, place_of, place_read, place_statements
from storage import ColumnInfo, TableInfo

INTEGERS = st.integers(-3, 3) | st.sampled_from([2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
REALS = st.sampled_from([-1.5, 0.1, 0.30000000000000004, 1e300, -5e-324, math.inf, -math.inf])
TEXTS = st.sampled_from(
    ["", "a", "A", "b", "a,b", 'quo"te', "it's", "\ufffd", "日本", "nul\0end", "9007199254740993"]
)
BLOBS = st.binary(max_size=2)
ANY_VALUE = st.none() | INTEGERS | REALS | TEXTS | BLOBS


@dataclass(frozen=True)
class Shape:
    """A way to declare the table under test: columns a and b, and a key."""

    ddl: str
    columns: tuple[ColumnInfo, ...]
    primary_key: tuple[str, ...]
    has_rowid: bool


def column(name: str, kind: str, *, not_null: bool = False, key: int = 0) -> ColumnInfo:
    return ColumnInfo(name=name, type=kind, not_null=not_null, default=None, primary_key_position=key)


SHAPES = {
    "integer key": Shape(
        "CREATE TABLE t (a, b TEXT, id INTEGER PRIMARY KEY)",
        (column("a", ""), column("b", "TEXT"), column("id", "INTEGER", key=1)),
        ("id",),
        has_rowid=True,
    ),
    "no key": Shape("CREATE TABLE t (a, b TEXT)", (column("a", ""), column("b", "TEXT")), (), has_rowid=True),
    "key that may be NULL": Shape(
        "CREATE TABLE t (a, b TEXT, PRIMARY KEY (b, a))",
        (column("a", "", key=2), column("b", "TEXT", key=1)),
        ("b", "a"),
        has_rowid=True,
    ),
    "without rowid": Shape(
        "CREATE TABLE t (a NOT NULL, b TEXT NOT NULL, PRIMARY KEY (b, a)) WITHOUT ROWID",
        (column("a", "", not_null=True, key=2), column("b", "TEXT", not_null=True, key=1)),
        ("b", "a"),
        has_rowid=False,
    ),
    "letters of either case are one": Shape(
        "CREATE TABLE t (a, b TEXT COLLATE NOCASE, id INTEGER PRIMARY KEY)",
        (column("a", ""), column("b", "TEXT"), column("id", "INTEGER", key=1)),
        ("id",),
        has_rowid=True,
    ),
}


class Bench:
    """One table in memory, read page by page as the route does it."""

    def __init__(self, shape: Shape) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute(shape.ddl)
        self.table = TableInfo(
            name="t",
            kind="table",
            columns=list(shape.columns),
            primary_key=list(shape.primary_key),
            has_rowid=shape.has_rowid,
            row_count_estimate=None,
            strict=False,
        )
        self.columns = columns_of(self.table)
        self.key = key_of(self.table)

    def insert(self, rows: list[tuple[Any, Any]]) -> None:
        for row in rows:
            self.connection.execute("INSERT OR IGNORE INTO t (a, b) VALUES (?, ?)", row)

    def read(self, sql: str, params: tuple[Any, ...]) -> list[dict[str, Any]]:
        cursor = self.connection.cursor()
        cursor.row_trace = lambda row_of, row: dict(
            zip([name for name, _ in row_of.get_description()], row, strict=True)
        )
        return [row for row in cursor.execute(sql, params) if isinstance(row, dict)]

    def whole(self, order: Order) -> list[tuple[Any, ...]]:
        return [
            tuple(row)
            for row in self.connection.execute(f"SELECT {self.shown()} FROM t ORDER BY {order.sql}")  # noqa: S608
        ]

    def shown(self) -> str:
        return "*" if self.key is None or self.key.shown else '"rowid", *'

    def paged(self, order: Order, limit: int) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        after = None
        for _ in range(1_000):
            page = Page(table="t", key=self.key, order=order, conditions=(), limit=limit, after=after)
            rows = self.read(page.statement.sql, page.statement.params)
            body = msgspec.json.encode(
                [{name: in_json(value) for name, value in row.items()} for row in rows]
            )
            end = page_end(body, limit)
            kept = rows[: len(rows) if end.last is None else limit]
            assert msgspec.json.decode(body[: end.rows_bytes] + b"]") == [
                {name: in_json(value) for name, value in row.items()} for row in kept
            ]
            found += [tuple(row.values()) for row in kept]
            if end.last is None:
                return found
            after = next_cursor(page, self.place(page, end.last))
        raise AssertionError("the pages never end")

    def place(self, page: Page, row: dict[str, Any]) -> Place:
        place = place_of(page.order, row)
        if place is not None:
            return place
        for statement in place_statements(page, row):
            for fields in self.connection.execute(statement.sql, statement.params):
                return place_read(tuple(fields))
        raise AssertionError("the row is gone")


def in_json(value: Any) -> Any:
    """Return a value as storage writes it in JSON: bytes under a name, no infinities."""
    if isinstance(value, bytes):
        return {"$base64": msgspec.to_builtins(value)}
    if isinstance(value, float) and math.isinf(value):
        return None
    return value


def rows_with_ties() -> st.SearchStrategy[list[tuple[Any, Any]]]:
    """Rows whose columns hold a few values each, so that an order needs all of its columns."""
    few = st.tuples(
        st.lists(ANY_VALUE, min_size=1, max_size=3), st.lists(st.none() | TEXTS, min_size=1, max_size=3)
    )
    return few.flatmap(
        lambda found: st.lists(st.tuples(st.sampled_from(found[0]), st.sampled_from(found[1])), max_size=30)
    )


@settings(max_examples=75, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    rows=rows_with_ties(),
    order=st.sampled_from([None, "a", "-a", "b", "-b", "a,b", "-a,b", "a,-b", "-b,-a", "b,a"]),
    limit=st.integers(1, 7),
)
def test_pages_together_are_the_whole_result_in_its_order(
    shape: str, rows: list[tuple[Any, Any]], order: str | None, limit: int
) -> None:
    bench = Bench(SHAPES[shape])
    bench.insert(rows)
    total = order_of(order, bench.columns, bench.key)
    assert bench.paged(total, limit) == bench.whole(total)


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.tuples(ANY_VALUE, TEXTS), min_size=4, max_size=20), data=st.data())
def test_rows_inserted_or_deleted_between_pages_never_make_another_row_vanish(
    rows: list[tuple[Any, Any]], data: st.DataObject
) -> None:
    bench = Bench(SHAPES["integer key"])
    bench.insert(rows)
    order = order_of("b", bench.columns, bench.key)
    first = Page(table="t", key=bench.key, order=order, conditions=(), limit=2, after=None)
    seen = bench.read(first.statement.sql, first.statement.params)[:2]
    cursor = next_cursor(first, bench.place(first, seen[-1]))
    gone = data.draw(st.sampled_from(range(1, len(rows) + 1)))
    bench.connection.execute("DELETE FROM t WHERE id = ?", (gone,))
    for number, row in enumerate(data.draw(st.lists(st.tuples(ANY_VALUE, TEXTS), max_size=5)), start=1_000):
        bench.connection.execute("INSERT INTO t (id, a, b) VALUES (?, ?, ?)", (number, *row))
    rest = Page(table="t", key=bench.key, order=order, conditions=(), limit=1_000, after=cursor)
    later = bench.read(rest.statement.sql, rest.statement.params)
    staying = {row["id"] for row in seen + later}
    assert {number for number in range(1, len(rows) + 1) if number != gone} <= staying
    assert not {row["id"] for row in seen} & {row["id"] for row in later}


def test_a_page_seeks_in_the_index_of_its_order_instead_of_sorting() -> None:
    bench = Bench(SHAPES["integer key"])
    bench.connection.execute("CREATE INDEX by_b ON t (b)")
    for text, place in itertools.product(("b", "-b"), (("m", 7), (None, 7))):
        order = order_of(text, bench.columns, bench.key)
        cursor = write_cursor(order, place)
        page = Page(table="t", key=bench.key, order=order, conditions=(), limit=5, after=cursor)
        plan = " ".join(
            str(row[3])
            for row in bench.connection.execute(
                "EXPLAIN QUERY PLAN " + page.statement.sql, page.statement.params
            )
        )
        assert "TEMP B-TREE" not in plan
        assert "SCAN t" not in plan
        assert "SEARCH t USING INDEX by_b" in plan


def test_a_cursor_of_another_order_is_refused() -> None:
    bench = Bench(SHAPES["integer key"])
    ascending = order_of("a", bench.columns, bench.key)
    descending = order_of("-a", bench.columns, bench.key)
    with pytest.raises(InvalidCursor, match="another order"):
        read_cursor(descending, write_cursor(ascending, (1, 2)))


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_is_refused_as_one(text: str) -> None:
    bench = Bench(SHAPES["integer key"])
    order = order_of("a", bench.columns, bench.key)
    with pytest.raises(InvalidCursor):
        read_cursor(order, text)


def test_a_cursor_with_a_number_no_row_can_hold_is_refused() -> None:
    bench = Bench(SHAPES["integer key"])
    order = order_of("a", bench.columns, bench.key)
    with pytest.raises(InvalidCursor, match="number"):
        read_cursor(order, write_cursor(order, (2**64 - 1, 1)))


@given(st.tuples(ANY_VALUE, st.integers(-(2**63), 2**63 - 1)))
def test_a_cursor_comes_back_as_it_was(place: tuple[Any, int]) -> None:
    bench = Bench(SHAPES["integer key"])
    order = order_of("a", bench.columns, bench.key)
    assert read_cursor(order, write_cursor(order, place)) == place


def test_an_order_by_an_unknown_column_names_the_columns_there_are() -> None:
    bench = Bench(SHAPES["integer key"])
    with pytest.raises(UnknownColumn) as refused:
        order_of("-nope", bench.columns, bench.key)
    assert refused.value.details == {"column": "nope", "allowed": ["a", "b", "id"]}


def test_an_order_by_one_column_twice_is_refused() -> None:
    bench = Bench(SHAPES["integer key"])
    with pytest.raises(InvalidParameter, match="twice"):
        order_of("a,-a", bench.columns, bench.key)


def test_what_stands_behind_the_key_in_an_order_is_left_out() -> None:
    bench = Bench(SHAPES["integer key"])
    assert order_of("id,a,b", bench.columns, bench.key).sql == '"id"'

from __future__ import annotations

import apsw
import pytest

from loadtests.plan import Column, Table, export_path, is_text, paged, quoted, scan_sql


def table(name: str = "city", *, row_count: int = 1_000, key: list[str] | None = None) -> Table:
    return Table(
        database="geo names",
        name=name,
        columns=[Column(name="id", type="INTEGER"), Column(name="name", type="NVARCHAR(40)")],
        key=["id"] if key is None else key,
        row_count=row_count,
    )


def test_a_name_is_part_of_a_path_whatever_it_holds() -> None:
    assert table("a/b?c").rows_path == "/v1/databases/geo%20names/tables/a%2Fb%3Fc/rows"
    assert export_path(table("a&b")) == "/v1/databases/geo%20names/export?table=a%26b&format=ndjson"


@pytest.mark.parametrize(("row_count", "passes"), [(100, 7_000), (235_000, 3), (5_000_000, 1)])
def test_a_scan_takes_its_time_whatever_the_tables_hold(row_count: int, passes: int) -> None:
    assert f"n < {passes})" in scan_sql(table(row_count=row_count))


def test_only_tables_with_a_key_and_more_than_a_page_are_paged() -> None:
    tables = [table("large"), table("small", row_count=99), table("keyless", key=[])]
    assert paged(tables) == [table("large").rows_path]


def test_the_scan_runs_and_reads_every_row_on_each_pass() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute('CREATE TABLE "od""d" (id INTEGER PRIMARY KEY, name NVARCHAR(40))')
    connection.executemany('INSERT INTO "od""d" (name) VALUES (?)', [("Oslo",), ("Osaka",), ("Rome",)])
    rows = connection.execute(scan_sql(table('od"d', row_count=350_000))).fetchall()
    connection.close()
    assert sorted(rows) == [("osa", 2), ("osl", 2), ("rom", 2)]


@pytest.mark.parametrize(
    ("declared", "text"),
    [("TEXT", True), ("nvarchar(40)", True), ("INTEGER", False), ("", False), ("REAL", False)],
)
def test_a_declared_type_is_text_by_the_words_in_it(declared: str, *, text: bool) -> None:
    assert is_text(declared) is text


def test_a_quote_in_a_name_is_doubled() -> None:
    assert quoted('a"b') == '"a""b"'

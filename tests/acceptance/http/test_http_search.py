"""Search among the rows of a table over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http import ONE_WAY, Base, error_of, house_of

house = house_of(ONE_WAY)  # an index is SQL, which storage's own tests try without workers too


@pytest.fixture
def shelf(base: Base) -> Base:
    """A table `book` of 30 rows with a search index; every third is about tea, one of those twice."""
    base.execute("CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT, body TEXT, year INTEGER)")
    rows = [
        {
            "id": number,
            "title": f"Book {number}",
            "body": ("All about tea. " if number % 3 == 0 else "Something else. ") * (3 if number == 9 else 1)
            + "word " * (number % 7),
            "year": 2000 + number % 4,
        }
        for number in range(1, 31)
    ]
    base.house.client.post(f"{base.path}/tables/book/rows", json=rows).raise_for_status()
    answer = base.house.client.put(f"{base.path}/tables/book/search", json={"columns": ["title", "body"]})
    assert (answer.status_code, answer.json()) == (200, {"table": "book", "search": ["title", "body"]})
    return base


def search(base: Base, text: str, **more: Any) -> dict[str, Any]:
    answer = base.get("/tables/book/rows", params={"search": text, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_matching_rows_come_ranked_with_a_snippet(shelf: Base) -> None:
    rows = search(shelf, "tea")["rows"]
    assert sorted(row["id"] for row in rows) == list(range(3, 31, 3))
    assert rows[0]["id"] == 9
    ranks = [row["_rank"] for row in rows]
    assert ranks == sorted(ranks)
    assert "[tea]" in rows[0]["_snippet"]
    assert rows[0].keys() == {"id", "title", "body", "year", "_rank", "_snippet"}


@pytest.mark.parametrize("order", [None, "-id", "year,-id", "-_rank"])
@pytest.mark.parametrize("snapshot", [False, True])
def test_pages_of_a_search_have_each_row_once_and_in_order(
    shelf: Base, order: str | None, snapshot: bool
) -> None:
    asked = {"order": order} if order else {}
    whole = search(shelf, "tea OR word", limit=100, **asked)["rows"]
    paged: list[Any] = []
    page: dict[str, Any] = {"next": "", "snapshot": "new"}
    while page["next"] is not None:
        more = {"snapshot": page["snapshot"]} if snapshot else {}
        if page["next"]:
            more["after"] = page["next"]
        page = search(shelf, "tea OR word", limit=4, **asked, **more)
        paged += page["rows"]
    assert len(whole) > 20
    assert paged == whole


def test_filters_hold_beside_a_search(shelf: Base) -> None:
    rows = search(shelf, "tea", year__gte=2002, title__ne="Book 6")["rows"]
    assert sorted(row["id"] for row in rows) == [3, 15, 18, 27, 30]


def test_a_search_sees_what_was_just_written(shelf: Base) -> None:
    shelf.execute("UPDATE book SET body = 'coffee' WHERE id = 3")
    shelf.execute("DELETE FROM book WHERE id = 6")
    assert [row["id"] for row in search(shelf, "coffee")["rows"]] == [3]
    assert {3, 6}.isdisjoint(row["id"] for row in search(shelf, "tea")["rows"])


@pytest.mark.parametrize(
    "text",
    [
        '"tea',
        "AND",
        "tea AND",
        "nosuchcolumn: tea",
        "(tea",
        "tea)",
        "^",
        "a-b",
        "'",
        "NEAR(tea",
        "",
        " ",
        "x" * 1_001,
        "tea\0",
    ],
)
def test_what_is_no_search_is_refused_with_what_is_allowed(shelf: Base, text: str) -> None:
    answer = shelf.get("/tables/book/rows", params={"search": text})
    error = error_of(answer)
    assert (answer.status_code, error["code"], "search" in error["message"]) == (
        400,
        "invalid_parameter",
        True,
    )


def test_an_index_is_told_with_its_table_and_hidden_from_the_list(shelf: Base) -> None:
    tables = {table["name"]: table["search"] for table in shelf.get("/tables").json()["tables"]}
    assert tables == {"book": ["title", "body"], "t": []}
    assert shelf.get("/tables/book").json()["search"] == ["title", "body"]


def test_a_table_without_an_index_says_how_to_make_one(shelf: Base) -> None:
    shelf.house.client.delete(f"{shelf.path}/tables/book/search").raise_for_status()
    for table in ("book", "t"):
        error = error_of(shelf.get(f"/tables/{table}/rows", params={"search": "tea"}))
        assert "has no search index" in error["message"]


@pytest.mark.parametrize(
    ("table", "body", "status", "code"),
    [
        ("nothing", {"columns": ["a"]}, 404, "table_not_found"),
        ("v", {"columns": ["id"]}, 409, "table_not_searchable"),
        ("book", {"columns": ["nothing"]}, 409, "table_not_searchable"),
        ("ranked", {"columns": ["_rank"]}, 409, "table_not_searchable"),
        ("book", {"columns": []}, 400, "invalid_body"),
        ("book", {"columns": ["title"], "tokenizer": "letters"}, 400, "invalid_body"),
    ],
)
def test_an_index_that_can_not_be_is_refused(
    shelf: Base, table: str, body: Any, status: int, code: str
) -> None:
    shelf.execute("CREATE VIEW v AS SELECT * FROM book")
    shelf.execute("CREATE TABLE ranked (id INTEGER PRIMARY KEY, _rank)")
    answer = shelf.house.client.put(f"{shelf.path}/tables/{table}/search", json=body)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    assert search(shelf, "tea")["rows"], "the index of before is gone"


def test_an_export_does_not_pretend_to_search(shelf: Base) -> None:
    assert (
        error_of(shelf.get("/export", params={"table": "book", "search": "tea"}))["code"]
        == "invalid_parameter"
    )

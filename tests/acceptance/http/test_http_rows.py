"""Rows over HTTP: one by one under any key, and page by page in any order."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.http import ONE_WAY, Base, error_of, house_of, in_every_way

house = house_of(ONE_WAY)  # but for what a server makes of an address, and what a worker holds or bounds


def pages(base: Base, table: str, **parameters: Any) -> list[list[dict[str, Any]]]:
    """Return all pages, following `next`."""
    found = []
    after = None
    for _ in range(1_000):
        more: dict[str, Any] = {} if after is None else {"after": after}
        answer = base.get(f"/tables/{table}/rows", params=parameters | more)
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"rows", "next"}
        found.append(answer.json()["rows"])
        after = answer.json()["next"]
        if after is None:
            return found
    raise AssertionError("the pages never end")


def test_a_row_is_inserted_read_changed_and_deleted(base: Base) -> None:
    rows = f"{base.path}/tables/t/rows"
    client = base.house.client
    inserted = client.post(rows, json={"name": "Dee", "age": 5})
    assert (inserted.status_code, inserted.json()) == (
        201,
        {"ack": "durable", "changes": 1, "last_insert_rowid": 4},
    )
    address = inserted.headers["location"]
    assert address == f"{rows}/4"
    assert client.get(address).json() == {"id": 4, "name": "Dee", "age": 5}
    assert client.patch(address, json={"age": None}).json()["changes"] == 1
    assert client.get(address).json() == {"id": 4, "name": "Dee", "age": None}
    assert client.delete(address).json()["changes"] == 1
    assert client.get(address).status_code == 404


def test_several_rows_are_inserted_all_or_none(base: Base) -> None:
    rows = f"{base.path}/tables/t/rows"
    refused = base.house.client.post(rows, json=[{"name": "Dee"}, {"name": "Ann"}])
    assert (refused.status_code, error_of(refused)["code"]) == (409, "constraint_violated")
    assert base.query("SELECT count(*) AS n FROM t")["rows"] == [{"n": 3}]
    kept = base.house.client.post(rows, json=[{"name": "Dee"}, {"name": "Eve", "age": 1}])
    assert (kept.status_code, kept.json()["changes"], len(kept.json()["results"])) == (201, 2, 2)


def test_a_row_without_values_gets_the_defaults(base: Base) -> None:
    base.execute("CREATE TABLE d (id INTEGER PRIMARY KEY, x TEXT DEFAULT 'usual')")
    assert base.house.client.post(f"{base.path}/tables/d/rows", json={}).status_code == 201
    assert base.get("/tables/d/rows/1").json() == {"id": 1, "x": "usual"}


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (True, 1),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (0.1, 0.1),
        ("", ""),
        ('nul\0quote"back\\slash\n日本\U0001f600', 'nul\0quote"back\\slash\n日本\U0001f600'),
        (
            {"$base64": base64.b64encode(bytes(range(256))).decode()},
            {"$base64": base64.b64encode(bytes(range(256))).decode()},
        ),
        ({"$base64": ""}, {"$base64": ""}),
    ],
)
def test_a_value_comes_back_as_it_was_sent(value: Any, stored: Any, base: Base) -> None:
    base.execute("CREATE TABLE v (id INTEGER PRIMARY KEY, x)")
    assert base.house.client.post(f"{base.path}/tables/v/rows", json={"x": value}).status_code == 201
    assert base.get("/tables/v/rows/1").json() == {"id": 1, "x": stored}


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, [1], {"a": 1}, {"$base64": "?"}, {"$base64": 1}])
def test_a_value_that_no_column_holds_is_refused(value: Any, kept: Base) -> None:
    answer = kept.house.client.patch(f"{kept.path}/tables/t/rows/1", json={"age": value})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_body")


@in_every_way
@pytest.mark.parametrize(
    "key",
    ["plain", "a,b", "a/b", "a%2Fb", "../..", "q?x=1#f", "日本", 'quo"te', "it's", " ", "%", "base64:eA"],
)
def test_any_text_is_a_key(key: str, base: Base) -> None:
    base.execute("CREATE TABLE k (name TEXT NOT NULL PRIMARY KEY, x INTEGER)")
    inserted = base.house.client.post(f"{base.path}/tables/k/rows", json={"name": key, "x": 1})
    address = f"{base.path}/tables/k/rows/{quote(key, safe='')}"
    assert inserted.headers["location"] == address
    assert base.house.client.get(address).json() == {"name": key, "x": 1}
    assert base.house.client.patch(address, json={"x": 2}).status_code == 200
    assert base.house.client.delete(address).status_code == 200


def test_a_key_of_several_columns_is_parted_by_commas(base: Base) -> None:
    base.execute("CREATE TABLE c (a TEXT, b INTEGER, x, PRIMARY KEY (b, a)) WITHOUT ROWID")
    inserted = base.house.client.post(f"{base.path}/tables/c/rows", json={"a": "x,y", "b": 7, "x": None})
    assert inserted.headers["location"].endswith("/rows/7,x%2Cy")
    assert base.house.client.get(inserted.headers["location"]).json() == {"a": "x,y", "b": 7, "x": None}


def test_a_blob_is_a_key(base: Base) -> None:
    base.execute("CREATE TABLE b (id BLOB NOT NULL PRIMARY KEY, x)")
    base.execute("INSERT INTO b VALUES (x'00ff', 1)")
    assert base.get("/tables/b/rows/base64:AP8=").json() == {"id": {"$base64": "AP8="}, "x": 1}
    assert error_of(base.get("/tables/b/rows/base64:A"))["code"] == "invalid_parameter"


def test_rows_without_a_key_of_their_own_show_and_take_the_rowid(base: Base) -> None:
    base.execute("CREATE TABLE n (x)")
    base.execute("INSERT INTO n VALUES (7), (8)")
    assert base.get("/tables/n/rows").json()["rows"] == [{"rowid": 1, "x": 7}, {"rowid": 2, "x": 8}]
    assert base.get("/tables/n/rows/2").json() == {"rowid": 2, "x": 8}
    assert base.get("/tables/n").json()["key"] == ["rowid"]


@in_every_way
def test_a_name_of_any_text_is_a_table_and_a_column(base: Base) -> None:
    base.execute('CREATE TABLE "a/b ""c"" 日" (id INTEGER PRIMARY KEY, "x__y z""" TEXT)')
    table = quote('a/b "c" 日', safe="")
    rows = f"{base.path}/tables/{table}/rows"
    assert base.house.client.post(rows, json={'x__y z"': "v"}).status_code == 201
    assert base.house.client.get(f"{rows}/1").json() == {"id": 1, 'x__y z"': "v"}
    found = base.house.client.get(rows, params={'x__y z"': "v", "order": '-x__y z"'})
    assert found.json()["rows"] == [{"id": 1, 'x__y z"': "v"}]


@pytest.mark.parametrize(
    ("parameters", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"age__gte": "20"}, [1, 3]),
        ({"age__isnull": "1"}, [2]),
        ({"name__like": "%i%"}, [3]),
        ({"name__in": "Ann,Bob"}, [1, 2]),
        ({"order": "-name"}, [3, 2, 1]),
        ({"order": "age"}, [2, 3, 1]),
        ({"order": "-age"}, [1, 3, 2]),
        ({"order": "-age", "age__gt": "0", "limit": "1"}, [1, 3]),
    ],
)
def test_filters_and_order_select_and_sort(parameters: dict[str, str], ids: list[int], kept: Base) -> None:
    assert [row["id"] for page in pages(kept, "t", **parameters) for row in page] == ids


@pytest.mark.parametrize("order", [None, "n", "-n", "s,-n", "-s"])
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_together_are_the_whole_table_in_its_order(order: str | None, limit: int, base: Base) -> None:
    base.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, n REAL, s TEXT)")
    base.execute(
        "WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < 30) INSERT INTO p "
        "SELECT x, CASE x % 7 WHEN 0 THEN NULL WHEN 1 THEN 9e999 WHEN 2 THEN -9e999 ELSE x % 5 + 0.1 END, "
        "CASE x % 4 WHEN 0 THEN NULL WHEN 1 THEN CAST(x'ff41' AS TEXT) ELSE 'x' || x % 3 END FROM i"
    )
    total = {
        None: "id",
        "n": "n, id",
        "-n": "n DESC, id DESC",
        "s,-n": "s, n DESC, id DESC",
        "-s": "s DESC, id DESC",
    }
    whole = base.query(f"SELECT id FROM p ORDER BY {total[order]}", shape="arrays")["rows"]  # noqa: S608
    found = pages(base, "p", limit=limit, **({} if order is None else {"order": order}))
    assert [[row["id"]] for page in found for row in page] == whole
    assert {len(page) for page in found[:-1]} <= {limit}


def test_a_view_is_read_in_pages_and_by_filters(base: Base) -> None:
    base.execute("CREATE VIEW v AS SELECT name, age FROM t WHERE id < 3")
    assert [len(page) for page in pages(base, "v", limit=1, order="name")] == [1, 1]
    assert base.get("/tables/v/rows?age__gt=1").json()["rows"] == [{"name": "Ann", "age": 30}]
    assert error_of(base.get("/tables/v/rows/1"))["code"] == "invalid_parameter"


@in_every_way
def test_a_changed_schema_is_seen_by_the_next_request(base: Base) -> None:
    assert base.get("/tables/t/rows/1").json() == {"id": 1, "name": "Ann", "age": 30}
    base.execute("ALTER TABLE t ADD COLUMN mood TEXT DEFAULT 'fine'")
    assert base.get("/tables/t/rows/1").json()["mood"] == "fine"
    assert base.get("/tables/t/rows?mood=fine&order=-mood").status_code == 200
    base.execute("DROP TABLE t")
    base.execute("CREATE TABLE t (code TEXT NOT NULL PRIMARY KEY)")
    base.execute("INSERT INTO t VALUES ('1')")
    assert base.get("/tables/t/rows/1").json() == {"code": "1"}
    base.execute("/* words first */ DROP TABLE t")
    assert base.get("/tables/t/rows/1").status_code == 404


@in_every_way
def test_a_page_past_its_bound_in_bytes_is_refused_with_advice(base: Base) -> None:
    base.execute("CREATE TABLE w (id INTEGER PRIMARY KEY, x TEXT)")
    base.execute(
        "INSERT INTO w SELECT value, printf('%.*c', 200000, 'x') FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22]')"
    )
    answer = base.get("/tables/w/rows")
    assert (answer.status_code, error_of(answer)["code"]) == (413, "result_too_large")
    assert "limit" in error_of(answer)["message"]
    assert len(base.get("/tables/w/rows?limit=5").json()["rows"]) == 5


def test_tables_are_described_with_their_columns_and_keys(base: Base) -> None:
    (table,) = base.get("/tables").json()["tables"]
    assert table == base.get("/tables/t").json()
    assert (table["name"], table["kind"], table["key"]) == ("t", "table", ["id"])
    assert [(column["name"], column["type"], column["not_null"]) for column in table["columns"]] == [
        ("id", "INTEGER", False),
        ("name", "TEXT", True),
        ("age", "INTEGER", False),
    ]


@in_every_way
def test_pages_of_a_snapshot_show_one_state_while_others_write(base: Base) -> None:
    rows = f"{base.path}/tables/t/rows"
    first = base.get("/tables/t/rows", params={"limit": 2, "snapshot": "new"}).json()
    assert base.house.client.post(rows, json={"name": "Dee"}).status_code == 201
    assert base.house.client.delete(f"{rows}/3").status_code == 200
    rest = {"limit": 2, "snapshot": first["snapshot"], "after": first["next"]}
    last = base.get("/tables/t/rows", params=rest).json()
    assert [row["id"] for row in first["rows"] + last["rows"]] == [1, 2, 3]
    assert last.keys() == {"rows", "next"}
    gone = base.get("/tables/t/rows", params=rest)
    assert (gone.status_code, error_of(gone)["code"]) == (409, "transaction_lost")
    assert [row["id"] for row in base.get("/tables/t/rows").json()["rows"]] == [1, 2, 4]


@in_every_way
def test_a_snapshot_belongs_to_its_database(base: Base) -> None:
    token = base.get("/tables/t/rows", params={"limit": 1, "snapshot": "new"}).json()["snapshot"]
    client = base.house.client
    assert client.put("/v1/databases/another").status_code == 201
    try:
        assert (
            client.post("/v1/databases/another/execute", json={"sql": "CREATE TABLE t(a)"}).status_code == 200
        )
        stolen = client.get("/v1/databases/another/tables/t/rows", params={"snapshot": token})
        assert error_of(stolen)["code"] == "transaction_lost"
    finally:
        client.delete("/v1/databases/another")


@in_every_way
def test_snapshots_are_bounded_and_the_last_page_makes_room(base: Base) -> None:
    answers = [base.get("/tables/t/rows", params={"limit": 1, "snapshot": "new"}) for _ in range(40)]
    held = [answer.json()["snapshot"] for answer in answers if answer.status_code == 200]
    refused = [error_of(answer)["code"] for answer in answers if answer.status_code != 200]
    assert held
    assert set(refused) == {"queue_full"}
    for token in held:
        assert base.get("/tables/t/rows", params={"snapshot": token}).status_code == 200
    one = base.get("/tables/t/rows", params={"snapshot": "new"})
    assert one.status_code == 200


@in_every_way
def test_a_queued_write_of_rows_is_answered_before_it_is_done_and_says_so(base: Base) -> None:
    client, rows = base.house.client, f"{base.path}/tables/t/rows"
    for answer in (
        client.post(f"{rows}?ack=queued", json={"id": 10, "name": "J"}),
        client.post(f"{rows}?ack=queued", json=[{"id": 11, "name": "K"}, {"id": 12, "name": "L"}]),
        client.patch(f"{rows}/10?ack=queued", json={"name": "M"}),
        client.delete(f"{rows}/11?ack=queued"),
        client.delete(f"{rows}/99?ack=queued"),
    ):
        assert answer.status_code == 202
        assert answer.json() == {"ack": "queued", "changes": None, "last_insert_rowid": None}
    base.execute("UPDATE t SET age = 1 WHERE id > 9")  # comes after them
    found = base.query("SELECT id, name FROM t WHERE id > 9", shape="arrays")["rows"]
    assert found == [[10, "M"], [12, "L"]]
    refused = client.post(f"{rows}?ack=soon", json={"id": 13, "name": "N"})
    assert (refused.status_code, error_of(refused)["code"]) == (400, "invalid_parameter")


@in_every_way
def test_a_queued_statement_is_answered_before_it_is_done_and_only_rows_can_be(base: Base) -> None:
    client, execute = base.house.client, f"{base.path}/execute"
    asked = {"sql": "INSERT INTO t VALUES (20, 'X', 1)", "ack": "queued"}
    answer = client.post(execute, json=asked)
    assert (answer.status_code, answer.json()["ack"]) == (202, "queued")
    several = {"statements": [{"sql": "INSERT INTO t VALUES (21, 'Y', 1)"}], "ack": "queued"}
    assert client.post(execute, json=several).status_code == 202
    assert client.post(execute, json={"sql": "DROP TABLE t", "ack": "queued"}).status_code == 403
    base.execute("UPDATE t SET age = 2 WHERE id > 19")
    assert base.query("SELECT id FROM t WHERE id > 19", shape="arrays")["rows"] == [[20], [21]]
    name, error = "dataserver_storage_queued_failed_total", "ConstraintViolated"
    failed = base.house.metric(name, error=error)
    client.post(execute, json=asked)
    base.house.until(name, failed + 1, error=error)

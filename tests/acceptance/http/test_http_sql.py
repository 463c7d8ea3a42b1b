"""SQL over HTTP: what is read, what is written, and databases that come and go."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.http import ONE_WAY, Base, House, error_of, house_of, in_every_way

house = house_of(ONE_WAY)  # but for sizes, and for databases, which every kind of worker opens and closes


def test_a_query_answers_columns_and_rows_as_objects_or_lists(base: Base) -> None:
    sql = "SELECT name, age FROM t WHERE id < ? ORDER BY id"
    assert base.query(sql, [3]) == {
        "columns": ["name", "age"],
        "rows": [{"name": "Ann", "age": 30}, {"name": "Bob", "age": None}],
    }
    assert base.query(sql, [3], shape="arrays")["rows"] == [["Ann", 30], ["Bob", None]]


def test_parameters_go_by_name_too(kept: Base) -> None:
    assert kept.query("SELECT name FROM t WHERE id = :id", {"id": 2})["rows"] == [{"name": "Bob"}]


@pytest.mark.parametrize(
    ("value", "answered"),
    [
        (None, None),
        (False, 0),
        (1.5, 1.5),
        (2**60 + 1, 2**60 + 1),
        ("𝄞\0", "𝄞\0"),
        ({"$base64": "AAE="}, {"$base64": "AAE="}),
    ],
)
def test_a_parameter_comes_back_as_it_was_sent(value: Any, answered: Any, kept: Base) -> None:
    assert kept.query("SELECT ? AS x", [value])["rows"] == [{"x": answered}]


def test_an_answer_of_no_rows_still_has_its_columns(base: Base) -> None:
    assert base.query("SELECT id, name FROM t WHERE 0") == {"columns": ["id", "name"], "rows": []}


@in_every_way
def test_a_large_answer_arrives_whole(base: Base) -> None:
    answer = base.house.client.post(
        f"{base.path}/query",
        json={
            "sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
            "SELECT i, 'text of ' || i AS text FROM n",
            "shape": "arrays",
        },
    )
    assert int(answer.headers["content-length"]) == len(answer.content) > 2_000_000
    assert json.loads(answer.content)["rows"] == [[i, f"text of {i}"] for i in range(1, 100_001)]


@in_every_way
def test_an_answer_past_its_bound_is_refused(base: Base) -> None:
    answer = base.house.client.post(
        f"{base.path}/query",
        json={
            "sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800) "
            "SELECT printf('%.*c', 100000, 'x') AS x FROM n"
        },
    )
    assert (answer.status_code, error_of(answer)["code"]) == (413, "result_too_large")


def test_a_write_answers_what_it_changed(base: Base) -> None:
    assert base.execute("UPDATE t SET age = 1 WHERE id < 3") == {
        "ack": "durable",
        "changes": 2,
        "last_insert_rowid": 0,
    }


def test_a_write_answers_what_it_returns(base: Base) -> None:
    done = base.execute("INSERT INTO t (name) VALUES (?), (?) RETURNING id, x'00ff' AS b", ["Dee", "Eve"])
    assert (done["columns"], done["rows"]) == (
        ["id", "b"],
        [[4, {"$base64": "AP8="}], [5, {"$base64": "AP8="}]],
    )


@in_every_way
def test_several_statements_take_effect_together_or_not_at_all(base: Base) -> None:
    insert = {"sql": "INSERT INTO t (name) VALUES (?)", "params": ["Dee"]}
    both = base.house.client.post(f"{base.path}/execute", json={"statements": [insert, insert]})
    assert (both.status_code, error_of(both)["details"]) == (409, {"kind": "unique"})
    assert base.query("SELECT count(*) AS n FROM t")["rows"] == [{"n": 3}]
    one = base.house.client.post(
        f"{base.path}/execute", json={"statements": [insert, {"sql": "UPDATE t SET age = 9"}]}
    ).json()
    assert (one["changes"], [result["changes"] for result in one["results"]]) == (5, [1, 4])


def test_too_many_statements_are_refused(base: Base) -> None:
    statements = [{"sql": "SELECT 1"}] * 10_001
    answer = base.house.client.post(f"{base.path}/execute", json={"statements": statements})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_body")


@in_every_way
def test_a_database_is_made_described_listed_and_dropped(house: House) -> None:
    made = house.client.put("/v1/databases/brief")
    assert (made.status_code, made.json()["name"]) == (201, "brief")
    assert "brief" in house.client.get("/v1/databases").json()["databases"]
    assert house.client.get("/v1/databases/brief").json()["table_count"] == 0
    assert house.client.delete("/v1/databases/brief").json()["name"] == "brief"
    assert house.client.get("/v1/databases/brief").status_code == 404
    assert house.client.put("/v1/databases/brief").status_code == 201
    assert house.client.get("/v1/databases/brief/tables").json() == {"tables": []}
    assert house.client.delete("/v1/databases/brief").status_code == 200


def test_a_later_statement_uses_what_an_earlier_one_gave(base: Base) -> None:
    answer = base.house.client.post(
        f"{base.path}/execute",
        json={
            "statements": [
                {"sql": "INSERT INTO t(name) VALUES ('Eve') RETURNING name"},
                {"sql": "UPDATE t SET name = ? || '!' WHERE id = ?",
                 "params": [{"$earlier": 0, "column": "name"}, {"$earlier": 0}]},
            ]
        },
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert base.query("SELECT name FROM t WHERE name LIKE 'Eve%'")["rows"] == [{"name": "Eve!"}]


@pytest.mark.parametrize(
    ("reference", "code", "complaint"),
    [
        ({"$earlier": 1}, "parameter_mismatch", "refers to statement 1"),
        ({"$earlier": -1}, "invalid_body", ">= 0"),
        ({"$earlier": 0, "colum": "name"}, "invalid_body", "colum"),
    ],
)
def test_a_wrong_reference_is_refused_and_says_how(
    reference: dict[str, Any], code: str, complaint: str, base: Base
) -> None:
    statements = [{"sql": "INSERT INTO t(name) VALUES ('Eve')"}, {"sql": "SELECT ?", "params": [reference]}]
    answer = base.house.client.post(f"{base.path}/execute", json={"statements": statements})
    assert answer.status_code == 400
    assert error_of(answer)["code"] == code
    assert complaint in error_of(answer)["message"]
    assert base.query("SELECT name FROM t WHERE name LIKE 'Eve%'")["rows"] == []


@in_every_way
def test_a_statement_is_explained_and_not_run(base: Base) -> None:
    def explained(sql: str) -> Any:
        answer = base.house.client.post(f"{base.path}/explain", json={"sql": sql})
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert explained("SELECT * FROM t WHERE age > 1 ORDER BY age") == {
        "steps": [{"detail": "SCAN t", "steps": []}, {"detail": "USE TEMP B-TREE FOR ORDER BY", "steps": []}],
        "full_scans": ["t"],
        "missing_indexes": [],
        "sorts": ["ORDER BY"],
    }
    assert explained("DELETE FROM t")["full_scans"] in ([], ["t"])
    assert len(base.query("SELECT * FROM t")["rows"]) == 3
    refused = base.house.client.post(f"{base.path}/explain", json={"sql": "SELECT * FROM nothing"})
    assert (refused.status_code, error_of(refused)["code"]) == (400, "sql_error")


@in_every_way
def test_a_read_is_measured_by_where_its_time_goes_and_what_it_touches(base: Base) -> None:
    answer = base.house.client.post(f"{base.path}/measure", json={"sql": "SELECT * FROM t ORDER BY age"})
    assert answer.status_code == 200, answer.text
    cost = answer.json()
    assert cost["size_bytes"] == len(b'[[2,"Bob",null],[3,"Cid",20],[1,"Ann",30]]')
    assert (cost["row_count"], cost["sort_count"], cost["scan_steps"]) == (3, 1, 2)
    assert cost["vm_steps"] > 10
    assert min(cost.values()) >= 0
    refused = base.house.client.post(f"{base.path}/measure", json={"sql": "DELETE FROM t"})
    assert (refused.status_code, error_of(refused)["code"]) == (403, "not_read_only")

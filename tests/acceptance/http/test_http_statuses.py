"""Each way a request may be refused, with its status, its public code and the shape that every error has."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dataserver.routes import ROUTES
from tests.support.http import FOREVER, Base, House, error_of

BIG = "x" * (8 * 1024 * 1024 + 1)

REFUSED: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    # what is wrong: method, path below the database, more of the request, status, code
    "bad SQL": ("POST", "/query", {"json": {"sql": "SELECT 1 FROM t WHERE (", "params": []}}, 400, "sql_error"),
    "two statements": ("POST", "/query", {"json": {"sql": "SELECT 1; SELECT 2"}}, 400, "sql_error"),
    "too few parameters": ("POST", "/query", {"json": {"sql": "SELECT ?"}}, 400, "parameter_mismatch"),
    "a body that is no JSON": ("POST", "/query", {"content": b"{"}, 400, "invalid_body"),
    "a field of another type": ("POST", "/query", {"json": {"sql": 5}}, 400, "invalid_body"),
    "a field that nobody knows": ("POST", "/query", {"json": {"sql": "SELECT 1", "sqll": 1}}, 400, "invalid_body"),
    "neither sql nor statements": ("POST", "/execute", {"json": {}}, 400, "invalid_body"),
    "sql beside statements": ("POST", "/execute", {"json": {"sql": "x", "statements": []}}, 400, "invalid_body"),
    "no statements": ("POST", "/execute", {"json": {"statements": []}}, 400, "invalid_body"),
    "a list as a value": ("POST", "/tables/t/rows", {"json": {"name": [1]}}, 400, "invalid_body"),
    "nothing to change": ("PATCH", "/tables/t/rows/1", {"json": {}}, 400, "invalid_body"),
    "no such column to insert": ("POST", "/tables/t/rows", {"json": {"nope": 1}}, 400, "unknown_column"),
    "no such column to change": ("PATCH", "/tables/t/rows/1", {"json": {"nope": 1}}, 400, "unknown_column"),
    "no such column to filter": ("GET", "/tables/t/rows?nope=1", {}, 400, "unknown_column"),
    "no such column to order by": ("GET", "/tables/t/rows?order=nope", {}, 400, "unknown_column"),
    "no such operator": ("GET", "/tables/t/rows?age__about=1", {}, 400, "unknown_operator"),
    "no such cursor": ("GET", "/tables/t/rows?after=abc", {}, 400, "invalid_cursor"),
    "a limit of nothing": ("GET", "/tables/t/rows?limit=0", {}, 400, "invalid_parameter"),
    "a limit past the bound": ("GET", "/tables/t/rows?limit=1001", {}, 400, "invalid_parameter"),
    "a key of two values": ("GET", "/tables/t/rows/1,2", {}, 400, "invalid_parameter"),
    "a deadline of nothing": ("GET", "/tables/t/rows/1?timeout_ms=0", {}, 400, "invalid_parameter"),
    "a deadline in words": ("GET", "/tables/t/rows?timeout_ms=soon", {}, 400, "invalid_parameter"),
    "too many parameters": ("GET", "/tables/t/rows?" + "&".join(["id=1"] * 65), {}, 400, "invalid_parameter"),
    "an export of nothing": ("GET", "/export", {}, 400, "invalid_parameter"),
    "an export as a picture": ("GET", "/export?table=t&format=png", {}, 400, "invalid_parameter"),
    "a write where only reading is allowed": ("POST", "/query", {"json": {"sql": "DELETE FROM t"}}, 403, "not_read_only"),
    "a write to export": ("POST", "/export", {"json": {"sql": "DELETE FROM t"}}, 403, "not_read_only"),
    "control of transactions": ("POST", "/execute", {"json": {"sql": "COMMIT"}}, 403, "not_allowed"),
    "another file": ("POST", "/execute", {"json": {"sql": "ATTACH 'x.db' AS x"}}, 403, "not_allowed"),
    "a row of a view": ("PATCH", "/tables/v/rows/1", {"json": {"name": "x"}}, 403, "rows_read_only"),
    "a row into a view": ("POST", "/tables/v/rows", {"json": {"name": "x"}}, 403, "rows_read_only"),
    "no such table": ("GET", "/tables/nope", {}, 404, "table_not_found"),
    "rows of no such table": ("GET", "/tables/nope/rows", {}, 404, "table_not_found"),
    "a row of no such table": ("GET", "/tables/nope/rows/1", {}, 404, "table_not_found"),
    "an export of no such table": ("GET", "/export?table=nope", {}, 404, "table_not_found"),
    "no such row": ("GET", "/tables/t/rows/99", {}, 404, "row_not_found"),
    "no such row to change": ("PATCH", "/tables/t/rows/99", {"json": {"name": "x"}}, 404, "row_not_found"),
    "no such row to delete": ("DELETE", "/tables/t/rows/99", {}, 404, "row_not_found"),
    "a key that is no number": ("GET", "/tables/t/rows/one", {}, 404, "row_not_found"),
    "no such address": ("GET", "/nope", {}, 404, "route_not_found"),
    "an address with a slash at its end": ("GET", "/tables/", {}, 404, "route_not_found"),
    "another method": ("PUT", "/query", {}, 405, "method_not_allowed"),
    "another method on rows": ("PUT", "/tables/t/rows/1", {}, 405, "method_not_allowed"),
    "an answer as a picture": ("GET", "/tables", {"headers": {"accept": "image/png"}}, 406, "not_acceptable"),
    "a row as a picture": ("GET", "/tables/t/rows/1", {"headers": {"accept": "image/png"}}, 406, "not_acceptable"),
    "an export in another form": ("GET", "/export?table=t", {"headers": {"accept": "text/html"}}, 406, "not_acceptable"),
    "a database that exists": ("PUT", "", {}, 409, "database_exists"),
    "the same name twice": ("POST", "/tables/t/rows", {"json": {"name": "Ann"}}, 409, "constraint_violated"),
    "a value that a check forbids": ("PATCH", "/tables/t/rows/1", {"json": {"age": -1}}, 409, "constraint_violated"),
    "a body past its bound": ("POST", "/query", {"json": {"sql": BIG}}, 413, "body_too_large"),
    "a body of another type": (
        "POST", "/query", {"content": b"sql=x", "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type",
    ),
    "a read past its deadline": ("POST", "/query?timeout_ms=100", {"json": {"sql": FOREVER}}, 504, "deadline_exceeded"),
    "a read past the deadline in its header": (
        "POST", "/query", {"json": {"sql": FOREVER}, "headers": {"request-timeout-ms": "100"}}, 504, "deadline_exceeded",
    ),
    "an export past its deadline": (
        "POST", "/export?timeout_ms=100", {"json": {"sql": FOREVER}}, 504, "deadline_exceeded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_is_refused_has_its_status_and_its_code(wrong: str, kept: Base) -> None:
    method, path, more, status, code = REFUSED[wrong]
    answer = kept.house.client.request(method, f"{kept.path}{path}", **more)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


@pytest.mark.parametrize(
    "path", ["", "/tables", "/tables/t", "/tables/t/rows", "/tables/t/rows/1", "/export?table=t"]
)
def test_a_database_that_does_not_exist_is_not_found(path: str, house: House) -> None:
    answer = house.client.get(f"/v1/databases/nobody{path}")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "database_not_found")


@pytest.mark.parametrize("name", ["UPPER", "..", "%2e%2e%2fserver", "a%00b", "x" * 64, "%ff", "-a"])
def test_a_name_that_breaks_the_rule_is_refused_before_any_file_is_touched(name: str, house: House) -> None:
    answer = house.client.put(f"/v1/databases/{name}")
    assert (answer.status_code, error_of(answer)["code"]) in {
        (400, "invalid_database_name"),
        (404, "route_not_found"),
    }


def test_bad_sql_is_answered_with_what_sqlite_says_and_where(kept: Base) -> None:
    answer = kept.house.client.post(f"{kept.path}/query", json={"sql": "SELECT nope FROM t"})
    error = error_of(answer)
    assert error["message"] == "no such column: nope"
    assert error["details"] == {"offset": len("SELECT ")}


def test_a_violated_constraint_names_its_kind(base: Base) -> None:
    answer = base.house.client.post(f"{base.path}/tables/t/rows", json={"name": None})
    assert error_of(answer)["details"] == {"kind": "not_null"}


def test_an_unknown_column_is_answered_with_those_there_are(kept: Base) -> None:
    assert error_of(kept.get("/tables/t/rows?nope=1"))["details"] == {
        "column": "nope",
        "allowed": ["id", "name", "age"],
    }


def test_another_method_is_answered_with_those_there_are(kept: Base) -> None:
    answer = kept.house.client.put(f"{kept.path}/tables/t/rows/1")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH"


def test_what_needs_a_token_challenges_for_one(kept: Base) -> None:
    answer = kept.house.client.get(kept.path, headers={"authorization": ""})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert error_of(answer)["class"] == "auth"


@pytest.mark.parametrize("label", [route.label for route in ROUTES if route.role != "user"])
def test_every_route_refuses_what_it_cannot_answer_in_the_same_shape(label: str, house: House) -> None:
    route = next(each for each in ROUTES if each.label == label)
    path = re.sub(r"\{\w+\}", "x", route.path)
    answer = house.client.request(route.method, path, headers={"accept": "video/none"})
    assert answer.status_code == 406
    error_of(answer)


@pytest.mark.parametrize("path", ["/tables/t/rows/1", "/tables/t/rows", "/export?table=t", "/tables"])
def test_a_head_request_gets_the_status_without_a_body(path: str, kept: Base) -> None:
    answer = kept.house.client.head(f"{kept.path}{path}")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_read_past_its_deadline_stops_running(base: Base) -> None:
    base.house.client.post(f"{base.path}/query?timeout_ms=50", json={"sql": FOREVER})
    base.house.until("dataserver_pool_workers_busy", 0, pool="readers")


def test_a_statement_after_one_past_its_deadline_is_answered(base: Base) -> None:
    for _ in range(3):
        assert (
            base.house.client.post(f"{base.path}/query?timeout_ms=30", json={"sql": FOREVER}).status_code
            == 504
        )
        assert base.query("SELECT count(*) AS n FROM t")["rows"] == [{"n": 3}]

"""Rows that stream in over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.http import Base, House, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

NDJSON = {"content-type": "application/x-ndjson"}
ROW_COUNT = 20_000


def lines(count: int, begin: int = 10) -> bytes:
    """Return so many rows for `t`, some 60 bytes each."""
    return b"".join(
        b'{"id": %d, "name": "somebody called %d", "age": %d}\n' % (number, number, number % 90)
        for number in range(begin, begin + count)
    )


def post(base: Base, content: Any, *, table: str = "t", headers: Any = None, **query: str) -> httpx2.Response:
    path = f"{base.path}/tables/{table}/import"
    return base.house.client.post(path, content=content, headers=headers or NDJSON, params=query)


def count(base: Base) -> int:
    (row,) = base.query("SELECT count(*) AS n FROM t")["rows"]
    found: int = row["n"]
    return found


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_stream_of_rows_is_stored(base: Base, on_error: str) -> None:
    content = lines(ROW_COUNT)
    chunks = (content[start : start + 50_000] for start in range(0, len(content), 50_000))
    answer = post(base, chunks, on_error=on_error)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "rows": ROW_COUNT,
            "failed": 0,
            "errors": [],
            "lines": ROW_COUNT,
            "bytes": len(content),
            "done": True,
        },
    )
    assert count(base) == ROW_COUNT + 3


def test_an_export_is_an_import(base: Base) -> None:
    base.execute("CREATE TABLE b (id INTEGER PRIMARY KEY, x BLOB, y REAL, z TEXT)")
    base.execute(
        "INSERT INTO b VALUES (1, x'00ff', 1.5, 'a\nb'), (2, NULL, NULL, NULL), (3, x'', -0.1, '\"')"
    )
    before = base.query("SELECT * FROM b ORDER BY id")
    exported = base.get("/export", params={"table": "b", "format": "ndjson"}).content
    base.execute("DELETE FROM b")
    assert post(base, exported, table="b").json()["rows"] == 3
    assert base.query("SELECT * FROM b ORDER BY id") == before


def test_csv_is_stored(base: Base) -> None:
    answer = post(
        base, b"name;id\nDee;7\n", headers={"content-type": "text/csv; charset=utf-8"}, delimiter=";"
    )
    assert answer.json()["rows"] == 1
    assert base.query("SELECT * FROM t WHERE id = 7")["rows"] == [{"id": 7, "name": "Dee", "age": None}]


def test_a_bad_line_is_told_and_nothing_is_stored(base: Base) -> None:
    answer = post(base, lines(ROW_COUNT) + b'{"id": 1, "name": "again"}\n')
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["code"], error["details"]) == ("bad_line", {"line": ROW_COUNT + 1})
    assert count(base) == 3


def test_bad_lines_are_passed_over_counted_and_told(base: Base) -> None:
    bad = b'{"id": 1, "name": "again"}\nno JSON\n{"nme": 1}\n'
    told = post(base, lines(5) + bad + lines(5, 20), on_error="skip").json()
    assert (told["rows"], told["failed"], told["lines"]) == (10, 3, 13)
    assert [error["line"] for error in told["errors"]] == [6, 7, 8]
    assert count(base) == 13


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_progress_is_told_line_by_line(base: Base, on_error: str) -> None:
    answer = post(base, lines(ROW_COUNT), on_error=on_error, progress="1")
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert len(told) > 2
    assert [each["done"] for each in told] == [False] * (len(told) - 1) + [True]
    assert [each["rows"] for each in told] == sorted(each["rows"] for each in told)
    assert told[-1]["rows"] == ROW_COUNT


def test_a_failure_behind_the_first_line_of_progress_is_the_last_line(base: Base) -> None:
    answer = post(base, lines(ROW_COUNT) + b"no JSON\n", progress="1")
    last = json.loads(answer.text.splitlines()[-1])
    assert (answer.status_code, last["error"]["code"]) == (200, "bad_line")
    assert count(base) == 3


@pytest.mark.parametrize(
    ("table", "headers", "query", "status", "code"),
    [
        ("nothing", NDJSON, {}, 404, "table_not_found"),
        ("v", NDJSON, {}, 403, "rows_read_only"),
        ("t", {"content-type": "application/json"}, {}, 415, "unsupported_media_type"),
        ("t", {**NDJSON, "content-encoding": "gzip"}, {}, 415, "unsupported_media_type"),
        ("t", NDJSON, {"on_error": "ask"}, 400, "invalid_parameter"),
        ("t", NDJSON, {"delimiter": '"'}, 400, "invalid_parameter"),
        ("t", {"content-type": "text/csv"}, {}, 400, "unknown_column"),
    ],
)
def test_what_makes_no_sense_is_refused(  # noqa: PLR0917 - a row of a table
    base: Base, table: str, headers: dict[str, str], query: dict[str, str], status: int, code: str
) -> None:
    base.execute("CREATE VIEW v AS SELECT * FROM t")
    answer = post(base, b"{}\n", table=table, headers=headers, **query)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


def test_a_length_past_the_bound_is_refused_before_it_comes(base: Base) -> None:
    head = base.house.request_bytes("POST", f"{base.path}/tables/t/import", close=True)
    head = head.replace(b"Content-Length: 0", b"Content-Length: 99999999999")
    status, _ = base.house.raw(head.replace(b"application/json", b"application/x-ndjson"))
    assert status == 413


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_client_that_leaves_in_the_middle_leaves_nothing_or_whole_pieces(base: Base, on_error: str) -> None:
    path = f"{base.path}/tables/t/import?on_error={on_error}"
    head = base.house.request_bytes("POST", path).replace(b"application/json", b"application/x-ndjson")
    content = lines(ROW_COUNT)
    with base.house.connection() as connection:
        connection.sendall(head.replace(b"Content-Length: 0", b"Content-Length: %d" % (len(content) + 1)))
        connection.sendall(content)
        base.house.until("dataserver_http_open_requests", 2)
    base.house.until("dataserver_http_open_requests", 1)
    kept = count(base) - 3
    assert kept == 0 if on_error == "stop" else 0 <= kept <= ROW_COUNT
    assert base.query("SELECT max(id) - 9 AS n FROM t WHERE id > 9")["rows"] == [{"n": kept or None}]
    assert post(base, lines(1, 100_000)).json()["rows"] == 1


def test_the_place_of_an_import_is_free_again_when_it_failed(house: House, base: Base) -> None:
    for _ in range(10):
        assert post(base, b"no JSON\n").status_code == 400
    assert post(base, _slow(lines(3))).status_code == 200
    assert house.client.get("/healthz").status_code == 200


def _slow(content: bytes) -> Iterator[bytes]:
    for byte in range(0, len(content), 7):
        yield content[byte : byte + 7]

"""Answers of any size, and clients that leave in the middle."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.support.http import FOREVER, Base, House

ROWS = 20_000
FILL = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
    "INSERT INTO big SELECT i, 'name, \"' || i || '\"' || char(10) || 'of many', i % 10 FROM n"
)


@pytest.fixture(scope="module")
def big_bases() -> dict[str, Base]:
    return {}


@pytest.fixture
def big(house: House, big_bases: dict[str, Base]) -> Base:
    """A database with a table `big`, for all tests that only read it."""
    base = big_bases.get(house.server.url)
    if base is None:
        base = big_bases[house.server.url] = house.database()
        base.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, name TEXT, kind INTEGER)")
        base.execute(FILL.format(count=ROWS))
    return base


def test_an_export_as_csv_holds_every_row(big: Base) -> None:
    answer = big.get("/export?table=big&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{big.name}.csv"'
    header, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert header == ["id", "name", "kind"]
    assert len(rows) == ROWS
    assert rows[-1] == [str(ROWS), f'name, "{ROWS}"\nof many', "0"]


def test_an_export_as_ndjson_holds_every_row(big: Base) -> None:
    answer = big.get("/export?table=big")
    assert answer.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["id"] for row in rows] == list(range(1, ROWS + 1))


def test_an_export_takes_filters_an_order_and_the_form_that_is_accepted(big: Base) -> None:
    answer = big.get("/export?table=big&kind=3&id__lte=33&order=-id", headers={"accept": "text/csv"})
    assert [row[0] for row in csv.reader(io.StringIO(answer.text, newline=""))] == [
        "id",
        "33",
        "23",
        "13",
        "3",
    ]


def test_an_export_of_nothing_is_empty_but_whole(big: Base) -> None:
    assert big.get("/export?table=big&id__lt=0").content == b""
    answer = big.get("/export?table=big&id__lt=0&format=csv")
    assert list(csv.reader(io.StringIO(answer.text, newline=""))) == [["id", "name", "kind"]]


def test_a_statement_is_exported_with_its_parameters(big: Base) -> None:
    answer = big.house.client.post(
        f"{big.path}/export",
        json={"sql": "SELECT id FROM big WHERE kind = ? LIMIT 2", "params": [7], "format": "ndjson"},
    )
    assert answer.text == '{"id":7}\n{"id":17}\n'


def test_a_client_that_leaves_in_the_middle_of_an_export_ends_it(base: Base) -> None:
    departures = base.house.metric("dataserver_http_request_seconds_count", status="499")
    sql = FOREVER.replace("count(*)", "i, printf('%.*c', 1000, 'x') AS filling")
    body = json.dumps({"sql": sql, "format": "ndjson"}).encode()
    with base.house.connection() as connection:
        connection.sendall(base.house.request_bytes("POST", f"{base.path}/export", body))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    base.house.until("dataserver_http_request_seconds_count", departures + 1, status="499")
    base.house.until("dataserver_http_open_requests", 1)  # the one that asks
    base.house.until("dataserver_pool_workers_busy", 0, pool="readers")


def test_a_client_that_leaves_interrupts_its_query(base: Base) -> None:
    if base.house.workers == "off":
        pytest.skip("without workers a departure is seen when the statement ends")
    interrupted = base.house.metric("dataserver_pool_interrupted_total", pool="readers")
    with base.house.connection() as connection:
        body = json.dumps({"sql": FOREVER}).encode()
        connection.sendall(base.house.request_bytes("POST", f"{base.path}/query", body))
        base.house.until("dataserver_http_open_requests", 2)
    base.house.until("dataserver_http_open_requests", 1)
    base.house.until("dataserver_pool_workers_busy", 0, pool="readers")
    assert base.house.metric("dataserver_pool_interrupted_total", pool="readers") > interrupted


def test_an_export_that_fails_half_way_does_not_look_whole(base: Base) -> None:
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i, printf('%.*c', 1000, 'x') AS filling, CASE WHEN i > 5000 THEN abs(-9223372036854775807 - 1) END FROM n"
    )
    body = json.dumps({"sql": sql, "format": "ndjson"}).encode()
    status, received = base.house.raw(
        base.house.request_bytes("POST", f"{base.path}/export", body, close=True)
    )
    assert status == 200
    assert len(received) > 1_000_000
    assert not received.endswith(b"0\r\n\r\n")


def test_other_requests_are_answered_while_a_reader_does_not_read(base: Base) -> None:
    sql = FOREVER.replace("count(*)", "i, printf('%.*c', 1000, 'x') AS filling")
    body = json.dumps({"sql": sql, "format": "ndjson"}).encode()
    with base.house.connection() as connection:
        connection.sendall(base.house.request_bytes("POST", f"{base.path}/export", body))
        assert connection.recv(10).startswith(b"HTTP/1.1 2")
        for _ in range(20):
            assert base.get("/tables/t/rows/1").status_code == 200
    base.house.until("dataserver_http_open_requests", 1)

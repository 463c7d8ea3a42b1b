"""What nobody should send: each is refused or survived, and the server goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.http import Base, House, error_of


@pytest.fixture(autouse=True)
def the_server_goes_on(house: House) -> Iterator[None]:
    yield
    assert house.client.get("/healthz").status_code == 200


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"sql=SELECT 1",
    "half of it": b'{"sql": "SELECT',
    "two of them": b'{"sql": "SELECT 1"}{"sql": "SELECT 1"}',
    "bad UTF-8": b'{"sql": "SELECT \xff\xfe"}',
    "half a surrogate pair": b'{"sql": "SELECT 1", "params": ["\\ud800"]}',
    "a list": b"[]",
    "null": b"null",
    "a number past all bounds": b'{"sql": "SELECT ?", "params": [' + b"9" * 5_000 + b"]}",
    "a fraction past all bounds": b'{"sql": "SELECT ?", "params": [1e999]}',
    "no number": b'{"sql": "SELECT ?", "params": [NaN]}',
    "a deep nest": b'{"sql": "SELECT ?", "params": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    "an object for parameters of an object": b'{"sql": "SELECT ?", "params": [{"a": {"b": 1}}]}',
    "a shape of its own": b'{"sql": "SELECT 1", "shape": "circle"}',
    "a field twice as nothing": b'{"sql": "SELECT 1", "sql": null}',
    "no SQL": b'{"sql": ""}',
    "SQL past its bound": b'{"sql": "' + b"x" * 1_000_001 + b'"}',
    "a byte order mark": b'\xef\xbb\xbf{"sql": "SELECT 1"}',
}


@pytest.mark.parametrize("what", BODIES)
@pytest.mark.parametrize("path", ["/query", "/execute", "/export"])
def test_a_body_that_makes_no_sense_is_refused_as_such(what: str, path: str, kept: Base) -> None:
    answer = kept.house.client.post(
        f"{kept.path}{path}", content=BODIES[what], headers={"content-type": "application/json"}
    )
    assert (answer.status_code, error_of(answer)["class"]) == (400, "permanent")


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1\0; DROP TABLE t", "\0", ";", "-- nothing", "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')",
     "PRAGMA journal_mode = DELETE", "PRAGMA wal_checkpoint", "VACUUM INTO '/tmp/x'", "ATTACH ':memory:' AS m", "BEGIN",
     "DROP TABLE t", "SELECT * FROM t; SELECT 1", "EXPLAIN", "SELECT writefile('/tmp/x', 'y')"],
)  # fmt: skip
def test_sql_that_reaches_further_than_reading_is_refused(sql: str, kept: Base) -> None:
    answer = kept.house.client.post(f"{kept.path}/query", json={"sql": sql})
    assert answer.status_code in {400, 403}, answer.text
    error_of(answer)
    assert kept.query("SELECT count(*) AS n FROM t")["rows"] == [{"n": 3}]


def test_one_huge_value_is_refused_before_it_is_made(base: Base) -> None:
    answer = base.house.client.post(f"{base.path}/query", json={"sql": "SELECT randomblob(1000000000)"})
    assert answer.status_code in {400, 413}
    error_of(answer)


HEADS: dict[str, bytes] = {
    "many fields": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 5_000 + b"\r\n",
    "one long field": b"GET /healthz HTTP/1.1\r\nHost: x\r\na: " + b"b" * 1_000_000 + b"\r\n\r\n",
    "a field without an end": b"GET /healthz HTTP/1.1\r\nHost: x\r\na: " + b"b" * 1_000_000,
    "a long line": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 20 + b"\r\n\r\n",
    "an unknown method": b"BREW /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "an unknown version": b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "bytes that are no ASCII": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a length below nothing": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a chunk of no length": b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("what", HEADS)
def test_a_head_that_makes_no_sense_is_refused(what: str, house: House) -> None:
    status, received = house.raw(HEADS[what])
    assert status in {0, 400, 401, 404, 405, 413, 414, 431, 501, 505}, received[:200]
    if status:
        house.check_refusal(received)


def test_a_body_without_an_end_is_refused_at_its_bound(base: Base) -> None:
    head = base.house.request_bytes("POST", f"{base.path}/query")
    head = head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with base.house.connection() as connection:
        connection.sendall(head)
        sent = 0
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        connection.settimeout(0.001)
        answered = b""
        while not answered and sent < 64 * 1024 * 1024:
            try:
                sent += connection.send(chunk[sent % len(chunk) :])
                answered = connection.recv(1_000)
            except TimeoutError:
                continue
            except ConnectionError:
                break
    assert answered.startswith(b"HTTP/1.1 413") or not answered
    assert sent < 32 * 1024 * 1024


def test_a_length_past_the_bound_is_refused_before_the_body_comes(base: Base) -> None:
    head = base.house.request_bytes("POST", f"{base.path}/query", close=True)
    status, received = base.house.raw(head.replace(b"Content-Length: 0", b"Content-Length: 99999999999"))
    assert status == 413
    base.house.check_refusal(received)


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing_open(base: Base) -> None:
    whole = base.house.request_bytes(
        "POST", f"{base.path}/execute", json.dumps({"sql": "DELETE FROM t"}).encode()
    )
    with base.house.connection() as connection:
        connection.sendall(whole[:-5])
        base.house.until("dataserver_http_open_requests", 2)
    base.house.until("dataserver_http_open_requests", 1)
    assert base.query("SELECT count(*) AS n FROM t")["rows"] == [{"n": 3}]


def test_requests_in_one_piece_are_answered_in_their_order(base: Base) -> None:
    requests = [base.house.request_bytes("GET", f"{base.path}/tables/t/rows/{key}") for key in (1, 2)]
    requests.append(base.house.request_bytes("GET", f"{base.path}/tables/t/rows/3", close=True))
    _, received = base.house.raw(b"".join(requests))
    assert [received.index(name) for name in (b"Ann", b"Bob", b"Cid")] == sorted(
        received.index(name) for name in (b"Ann", b"Bob", b"Cid")
    )


@pytest.mark.parametrize(
    "path",
    ["/v1/databases/..%2f..%2fserver/tables", "/v1/databases/../../server.db", "/v1//databases", "/%00", "/v1/databases/%F0%9F/tables",
     "/v1/databases/a/tables/%ff%fe/rows/%ff", "/" + "a/" * 1_000, "//evil", "/v1/databases?x=" + "%" * 3_000],
)  # fmt: skip
def test_a_path_that_makes_no_sense_is_not_found(path: str, house: House) -> None:
    status, received = house.raw(house.request_bytes("GET", path, close=True))
    assert status in {200, 400, 404}
    if status != 200:
        house.check_refusal(received)


@pytest.mark.parametrize(
    "query",
    ["limit=%ff", "order=%00", "id__in=" + "1," * 600, "after=" + "A" * 20_000, "=1", "%=1", "id=%ff", "&&&"],
)
def test_query_parameters_that_make_no_sense_are_refused_or_select_nothing(query: str, kept: Base) -> None:
    status, received = kept.house.raw(
        kept.house.request_bytes("GET", f"{kept.path}/tables/t/rows?{query}", close=True)
    )
    assert status in {200, 400, 414, 431}
    if status != 200:
        kept.house.check_refusal(received)

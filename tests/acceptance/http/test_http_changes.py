"""Changes as Server-Sent Events, over real HTTP: what is told, and how a client goes on after whatever happened."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.command_line import THREADS, RunningServer, serving
from tests.support.http import LIMIT_S, Base, error_of

ACCEPT = {"accept": "text/event-stream"}


@dataclass
class Events:
    """A stream as its client reads it; like a browser, it keeps the last id."""

    lines: Iterator[str]
    last_id: str = ""
    comments_count: int = 0
    afters: list[str | None] = field(default_factory=list)

    def next(self) -> tuple[str, dict[str, Any]] | None:
        """Return the next event, None at the end of the stream."""
        kind = data = ""
        for line in self.lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data = value
            elif line == ":":
                self.comments_count += 1
            elif not line and kind:
                return kind, json.loads(data)
        return None

    def change(self) -> dict[str, Any]:
        """Return the next event, which must be a change, and without a gap before it."""
        before = self.last_id
        found = self.next()
        assert found is not None
        kind, data = found
        assert (kind, data["after"]) == ("change", before)
        return data


@contextmanager
def following(client: httpx2.Client, path: str, *, last_id: str = "") -> Iterator[Events]:
    headers = {**ACCEPT, **({"last-event-id": last_id} if last_id else {})}
    with client.stream("GET", path, headers=headers) as answer:
        if answer.status_code != 200:
            answer.read()
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/event-stream"
        yield Events(answer.iter_lines())


@pytest.fixture
def followed(base: Base) -> Base:
    answer = base.house.client.put(f"{base.path}/tables/t/changes", json={"values": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["followed"] is True
    return base


def insert(base: Base, number: int) -> None:
    base.execute("INSERT INTO t VALUES (?, ?, NULL)", [number, f"name {number}"])


def test_a_change_is_told_as_it_is_committed(followed: Base) -> None:
    with following(followed.house.client, f"{followed.path}/changes?tables=t") as events:
        assert events.next() == ("position", {"cursor": events.last_id, "after": None})
        followed.execute("UPDATE t SET age = 31 WHERE id = 1")
        change = events.change()
        assert (change["table"], change["op"], change["key"]) == ("t", "update", [1])
        assert (change["old"]["age"], change["new"]) == (30, {"id": 1, "name": "Ann", "age": 31})
        followed.execute("DELETE FROM t WHERE id = 2")
        assert events.change()["op"] == "delete"


def test_who_comes_back_with_its_last_id_misses_nothing_and_hears_nothing_twice(followed: Base) -> None:
    client, path = followed.house.client, f"{followed.path}/changes"
    heard: list[int] = []
    with following(client, path) as events:
        events.next()
        last_id = events.last_id
    for start in (10, 20, 30):
        for number in range(start, start + 6):
            insert(followed, number)
        with following(client, path, last_id=last_id) as events:
            assert events.next() == ("position", {"cursor": last_id, "after": None})
            heard += [events.change()["key"][0] for _ in range(4)]
            last_id = events.last_id
    with following(client, f"{path}?since={last_id}") as events:
        events.next()
        heard += [events.change()["key"][0] for _ in range(6)]
    assert heard == [*range(10, 16), *range(20, 26), *range(30, 36)]


def test_a_stream_of_other_tables_moves_on_and_says_that_it_is_alive(followed: Base) -> None:
    followed.execute("CREATE TABLE quiet (id INTEGER PRIMARY KEY)")
    followed.house.client.put(f"{followed.path}/tables/quiet/changes", json={}).raise_for_status()
    with following(followed.house.client, f"{followed.path}/changes?tables=quiet&heartbeat_ms=100") as events:
        events.next()
        first = events.last_id
        insert(followed, 10)
        assert events.next() == ("position", {"cursor": events.last_id, "after": first})
        assert events.last_id != first
        followed.execute("INSERT INTO quiet VALUES (1)")
        assert events.change()["table"] == "quiet"


def test_a_cursor_of_another_history_is_told_as_a_gap_and_the_stream_goes_on(followed: Base) -> None:
    with following(followed.house.client, f"{followed.path}/changes", last_id="0123456789abcdef-3") as events:
        found = events.next()
        assert found is not None
        kind, data = found
        assert (kind, data["cursor"], data["after"]) == ("gap", events.last_id, None)
        assert "history" in data["message"]
        insert(followed, 10)
        assert events.change()["key"] == [10]


def test_a_dropped_database_ends_its_streams(followed: Base) -> None:
    client = followed.house.client
    with following(client, f"{followed.path}/changes") as events:
        events.next()
        client.delete(followed.path).raise_for_status()
        found = events.next()
        assert found is not None
        assert found[0] == "end"
        assert events.next() is None
    client.put(followed.path).raise_for_status()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?tables=missing", 409, "table_not_followed"),
        ("?tables=,", 400, "invalid_parameter"),
        ("?since=yesterday", 400, "invalid_parameter"),
        ("?heartbeat_ms=1", 400, "invalid_parameter"),
    ],
)
def test_what_cannot_be_followed_is_refused(query: str, status: int, code: str, followed: Base) -> None:
    answer = followed.get(f"/changes{query}")
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


def test_who_takes_no_events_is_refused_and_head_answers_at_once(followed: Base) -> None:
    assert followed.get("/changes", headers={"accept": "application/json"}).status_code == 406
    answer = followed.house.client.head(f"{followed.path}/changes")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")


def test_following_is_switched_off_and_a_reader_may_not_switch(followed: Base) -> None:
    house = followed.house
    reader = {"authorization": f"Bearer {house.tokens['read']}"}
    path = f"{followed.path}/tables/t/changes"
    assert house.client.delete(path, headers=reader).status_code == 403
    assert house.client.put(path, headers=reader, json={}).status_code == 403
    with following(house.client, f"{followed.path}/changes") as events:
        events.next()
        assert house.client.delete(path).json()["followed"] is False
        assert events.change()["op"] == "unfollow"
    assert error_of(house.client.delete(path))["code"] == "table_not_followed"
    assert followed.get("/changes?tables=t").status_code == 409


def _client(server: RunningServer, token: str) -> httpx2.Client:
    return httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=LIMIT_S)


def _write(client: httpx2.Client, sql: str) -> None:
    client.post("/v1/databases/shared/execute", json={"sql": sql}).raise_for_status()


@pytest.mark.parametrize("asgi_server", ["uvicorn", "h2corn"])
def test_a_server_that_stops_ends_its_streams_and_the_next_one_goes_on(
    asgi_server: str, tmp_path: Path
) -> None:
    path = "/v1/databases/shared/changes"
    with serving(tmp_path, "--server", asgi_server, environment=THREADS) as server:
        token = server.first_token
        with _client(server, token) as client:
            _write(client, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
            client.put("/v1/databases/shared/tables/t/changes", json={}).raise_for_status()
            with following(client, path) as events:
                events.next()
                _write(client, "INSERT INTO t VALUES (1)")
                assert events.change()["key"] == [1]
                _write(client, "INSERT INTO t VALUES (2)")
                server.process.send_signal(signal.SIGTERM)
                seen = [found[1]["key"] for found in iter(events.next, None)]
                last_id = events.last_id
        assert server.wait() == 0
        assert seen in ([], [[2]])
    with serving(tmp_path, "--server", asgi_server, environment=THREADS) as server:
        with _client(server, token) as client:
            _write(client, "INSERT INTO t VALUES (3)")
            with following(client, path, last_id=last_id) as events:
                assert events.next() == ("position", {"cursor": last_id, "after": None})
                later = [events.change()["key"] for _ in range(2 - len(seen))]
        assert server.stop() == 0
    assert [*seen, *later] == [[2], [3]]


@contextmanager
def listening(base: Base, sql: str, *, query: str = "") -> Iterator[Events]:
    request = {"sql": sql, "shape": "arrays"}
    with base.house.client.stream("POST", f"{base.path}/live{query}", headers=ACCEPT, json=request) as answer:
        assert answer.status_code == 200
        yield Events(answer.iter_lines())


def test_a_live_query_answers_again_when_its_answer_is_another(followed: Base) -> None:
    sql = "SELECT count(*) AS n FROM t"
    with listening(followed, sql, query="?heartbeat_ms=100") as events:
        assert events.next() == ("result", {"columns": ["n"], "rows": [[3]]})
        first_id = events.last_id
        followed.execute("UPDATE t SET age = 7 WHERE id = 1")
        insert(followed, 10)
        assert events.next() == ("result", {"columns": ["n"], "rows": [[4]]})
        assert events.last_id != first_id
        followed.house.client.delete(f"{followed.path}/tables/t/changes").raise_for_status()
        found = events.next()
        assert found is not None
        assert found[0] == "end"
        assert events.next() is None


def test_a_live_query_of_what_is_not_followed_is_refused(followed: Base) -> None:
    followed.execute("CREATE TABLE aside (id INTEGER PRIMARY KEY)")
    answer = followed.house.client.post(
        f"{followed.path}/live", json={"sql": "SELECT * FROM aside"}, headers=ACCEPT
    )
    assert (answer.status_code, error_of(answer)["code"]) == (409, "table_not_followed")
    answer = followed.house.client.post(
        f"{followed.path}/live", json={"sql": "DELETE FROM t"}, headers=ACCEPT
    )
    assert (answer.status_code, error_of(answer)["code"]) == (403, "not_read_only")


def test_who_does_not_read_holds_up_nobody_and_finds_all_of_it_later(followed: Base) -> None:
    house, path = followed.house, f"{followed.path}/changes"
    count, size_bytes = 60, 200_000
    with house.connection() as slow:
        slow.sendall(
            f"GET {path} HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\nConnection: close\r\n"
            f"Authorization: Bearer {house.tokens['read']}\r\n\r\n".encode()
        )
        stream = slow.makefile("rb")
        while not stream.readline().startswith(b"event: position"):
            pass
        with following(house.client, path) as quick:
            quick.next()
            for number in range(10, 10 + count):
                followed.execute(
                    "INSERT INTO t VALUES (?, ?, NULL)", [number, str(number) * (size_bytes // 2)]
                )
                assert quick.change()["key"] == [number]
        heard: list[int] = []
        while len(heard) < count:
            line = stream.readline()
            assert line
            if line.startswith(b"data: ") and b'"op"' in line:
                heard.append(json.loads(line[6:])["key"][0])
    assert heard == list(range(10, 10 + count))

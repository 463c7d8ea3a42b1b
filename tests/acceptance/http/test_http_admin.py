"""What an operator does over HTTP: workers off and on under load, users, backups that run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.support.command_line import THREADS, RunningServer, serving
from tests.support.http import House, error_of
from tests.support.repeating import repeated

CHANGES = (False, True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("admin") / "data") as server:
        yield server


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, headers=server.headers, timeout=30) as client:
        yield client


def workers_of(client: httpx2.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/admin/vitals").raise_for_status().json()["workers"]
    return found


def test_workers_go_off_and_on_under_load_and_no_request_fails_or_is_lost(
    client: httpx2.Client,
) -> None:
    base = "/v1/databases/shop"
    client.put(base).raise_for_status()
    client.post(f"{base}/execute", json={"sql": "CREATE TABLE item(id INTEGER PRIMARY KEY, n INTEGER)"})
    user = client.post(
        "/v1/auth/register", json={"name": "ann", "password": "a long password", "device": "test"}
    ).json()
    theirs = {"authorization": f"Bearer {user['access_token']}"}
    space = client.post(
        "/v1/spaces", json={"client_id": str(uuid4()), "name": "s"}, headers=theirs
    ).raise_for_status()
    room = client.post(
        f"/v1/spaces/{space.json()['id']}/rooms",
        json={"client_id": str(uuid4()), "name": "r"},
        headers=theirs,
    ).raise_for_status().json()["id"]  # fmt: skip
    written: list[int] = []
    sent: list[str] = []

    def write() -> None:
        add = {"sql": "INSERT INTO item(n) VALUES (?)", "params": [len(written)]}
        client.post(f"{base}/execute", json=add).raise_for_status()
        written.append(len(written))

    def read() -> None:
        client.post(f"{base}/query", json={"sql": "SELECT count(*) FROM item"}).raise_for_status()

    def send() -> None:
        message = {"client_id": str(uuid4()), "content": "hello"}
        client.post(f"/v1/rooms/{room}/messages", json=message, headers=theirs).raise_for_status()
        sent.append(message["client_id"])

    with repeated(write, read, send):
        for wanted in CHANGES:
            answer = client.put("/v1/admin/workers", json={"workers": wanted}).raise_for_status().json()
            assert answer["use_workers"] is wanted
            assert {pool["kind"] for pool in answer["pools"]} == (
                {"process", "thread"} if wanted else {"inline"}
            )
            assert workers_of(client)["kind"] == ("process" if wanted else "inline")
            before = len(written), len(sent)
            while len(written) == before[0] or len(sent) == before[1]:
                client.get("/healthz").raise_for_status()
            metrics = client.get("/metrics").text
            assert (
                f'dataserver_pool_info{{kind="{"process" if wanted else "inline"}",pool="readers"}} 1.0'
                in metrics
            )
            assert f"dataserver_storage_use_workers {float(wanted)}" in metrics
    rows = client.post(
        f"{base}/query", json={"sql": "SELECT n FROM item ORDER BY id", "shape": "arrays"}
    ).json()
    assert [n for (n,) in rows["rows"]] == written
    found: list[str] = []
    while page := client.get(
        f"/v1/rooms/{room}/messages?after_seq={len(found)}&limit=500", headers=theirs
    ).json()["messages"]:
        found += [each["client_id"] for each in page]
    assert found == sent


def test_a_change_of_workers_is_in_the_log_with_who_asked(tmp_path: Path) -> None:
    with serving(tmp_path / "data", environment=THREADS) as own:
        answer = httpx2.put(
            f"{own.url}/v1/admin/workers", json={"workers": False}, headers=own.headers, timeout=30
        )
        tokens = httpx2.get(f"{own.url}/v1/tokens", headers=own.headers).json()["tokens"]
        assert answer.status_code == 200
        assert own.stop() == 0
    [asked] = [each for each in own.events if each["event"] == "admin.workers_asked"]
    assert (asked["use_workers"], asked["by"]) == (False, tokens[0]["id"])
    assert [each["use_workers"] for each in own.events if each["event"] == "server.stopped"] == [False]


@pytest.mark.parametrize("body", [{}, {"workers": "yes"}, {"workers": 1}, {"workers": True, "more": 1}, []])
def test_what_says_neither_on_nor_off_changes_nothing(client: httpx2.Client, body: object) -> None:
    before = workers_of(client)["use_workers"]
    answer = client.put("/v1/admin/workers", json=body)
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_body")
    assert workers_of(client)["use_workers"] is before


def test_users_come_in_pages_by_their_names_and_what_these_have(client: httpx2.Client) -> None:
    for name in ("page-a", "page-b", "page-c"):
        body = {
            "name": name,
            "password": "a long password",
            "display_name": f"Mx {name[-1].upper()}",
            "device": "x",
        }
        client.post("/v1/auth/register", json=body).raise_for_status()
    path = "/v1/admin/users?having=PAGE-&limit=2"
    first = client.get(path).raise_for_status().json()
    assert [each["name"] for each in first["users"]] == ["page-a", "page-b"]
    assert (first["users"][0]["device_count"], first["users"][0]["disabled_at_ms"]) == (1, None)
    assert first["users"][0]["seen_at_ms"] > 0
    last = client.get(f"{path}&after={first['next_after']}").json()
    assert ([each["name"] for each in last["users"]], last["next_after"]) == (["page-c"], None)
    assert [each["name"] for each in client.get("/v1/admin/users?having=mx b").json()["users"]] == ["page-b"]
    for limit in ("0", "201", "x", "²", "9" * 20):
        refused = client.get("/v1/admin/users", params={"limit": limit})
        assert (refused.status_code, error_of(refused)["code"]) == (400, "invalid_parameter")


def test_a_user_who_is_disabled_is_out_at_once_and_may_come_in_again(client: httpx2.Client) -> None:
    body = {"name": "out", "password": "a long password", "device": "x"}
    token = client.post("/v1/auth/register", json=body).json()["access_token"]
    theirs = {"authorization": f"Bearer {token}"}
    assert client.get("/v1/spaces", headers=theirs).status_code == 200
    asked = {"name": "Out", "is_allowed": False}
    assert client.patch("/v1/admin/users", json=asked).json() == {"name": "out", "is_allowed": False}
    assert client.get("/v1/spaces", headers=theirs).status_code == 401
    assert client.post("/v1/auth/login", json=body).status_code == 403
    client.patch("/v1/admin/users", json={"name": "out", "is_allowed": True}).raise_for_status()
    assert client.post("/v1/auth/login", json=body).status_code == 200
    nobody = client.patch("/v1/admin/users", json={"name": "nobody", "is_allowed": True})
    assert (nobody.status_code, error_of(nobody)["code"]) == (404, "not_found")


def test_a_backup_that_runs_is_told_with_how_far_it_is(client: httpx2.Client) -> None:
    client.put("/v1/databases/large").raise_for_status()
    fill = "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) SELECT zeroblob(4000) AS b FROM n"
    client.post("/v1/databases/large/execute", json={"sql": fill}).raise_for_status()
    seen: list[dict[str, Any]] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            seen.extend(client.get("/v1/admin/vitals?since_ms=9999999999999").json()["backups"])

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        client.post("/v1/databases/large/backup", json={}).raise_for_status()
    finally:
        is_over.set()
        watching.join(30)
    assert {each["database"] for each in seen} == {"large"}
    assert [each["done_pages"] for each in seen] == sorted(each["done_pages"] for each in seen)
    assert client.get("/v1/admin/vitals").json()["backups"] == []


def test_every_second_tells_of_readers_and_writers_of_all_that_is_stored(house: House) -> None:
    told = house.client.get("/v1/admin/vitals").raise_for_status().json()
    assert {(pool["storage"], pool["name"]) for pool in told["workers"]["pools"]} == {
        (name, pool) for name in ("databases", "chat", "tokens") for pool in ("readers", "writers")
    }
    assert told["wal_bound_bytes"] == 256 * 1024 * 1024
    assert told["workers"]["use_workers"] is (house.workers != "off")

"""The application on real databases, without a server: what takes a stop or another process to see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

import storage
from dataserver.app import Application, build_application
from dataserver.auth import MIGRATIONS, TokenStore
from dataserver.limits import HttpLimits
from tests.support.asgi import Call
from workers import SystemClock

SETTINGS = storage.StorageSettings(kind="thread", worker_count=2)


class Bench:
    """An application and what it works on."""

    def __init__(self, app: Application, databases: storage.Databases, token: str) -> None:
        self.app = app
        self.databases = databases
        self._headers = {b"authorization": f"Bearer {token}".encode()}

    async def call(self, method: str, path: str, body: bytes = b"") -> Call:
        return await Call(method, path, body=[body], headers=dict(self._headers)).by(self.app)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with (
        storage.open_databases(tmp_path / "data", SETTINGS) as databases,
        storage.open(tmp_path / "server.db", SETTINGS, migrations=MIGRATIONS) as own,
    ):
        tokens = await TokenStore.open(own, clock=SystemClock())
        issued = await tokens.create(name="", role="admin")
        limits = HttpLimits(max_body_bytes=1_000, max_timeout_s=0.2)
        database = await databases.create("shop")
        await database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
        await database.execute("INSERT INTO t VALUES (1, 'one')")
        yield Bench(
            build_application(
                databases, tokens, settings=limits, backups=storage.BackupFolder(tmp_path / "backups")
            ),
            databases,
            issued.token,
        )


async def test_a_server_that_drains_is_not_ready_but_answers(bench: Bench) -> None:
    assert (await bench.call("GET", "/readyz")).status == 200
    bench.app.drain()
    draining = await bench.call("GET", "/readyz")
    assert (draining.status, json.loads(draining.answer)["error"]["code"]) == (503, "draining")
    assert (await bench.call("GET", "/v1/databases/shop/tables/t/rows/1")).status == 200


async def test_a_schema_changed_behind_the_application_is_found_out(bench: Bench) -> None:
    row = "/v1/databases/shop/tables/t/rows/1"
    assert (await bench.call("GET", row)).answer == b'{"id":1,"x":"one"}'
    database = bench.databases.get("shop")
    await database.execute("ALTER TABLE t RENAME COLUMN id TO number")
    assert (await bench.call("GET", row)).answer == b'{"number":1,"x":"one"}'
    await database.execute("ALTER TABLE t RENAME COLUMN x TO y")
    assert (await bench.call("PATCH", row, b'{"y":"two"}')).status == 200
    await database.execute("DROP TABLE t")
    gone = await bench.call("GET", row)
    assert (gone.status, json.loads(gone.answer)["error"]["code"]) == (404, "table_not_found")


async def test_a_database_dropped_and_made_again_is_another_one(bench: Bench) -> None:
    row = "/v1/databases/shop/tables/t/rows/1"
    assert (await bench.call("GET", row)).status == 200
    assert (await bench.call("DELETE", "/v1/databases/shop")).status == 200
    assert (await bench.call("GET", row)).status == 404
    assert (await bench.call("PUT", "/v1/databases/shop")).status == 201
    assert json.loads((await bench.call("GET", row)).answer)["error"]["code"] == "table_not_found"


async def test_a_body_in_many_pieces_is_read_up_to_its_bound(bench: Bench) -> None:
    app = bench.app
    whole = Call("POST", "/v1/databases/shop/query", body=[b'{"sql":', b' "SELECT 1"', b"", b"}"])
    whole.headers.update(bench._headers)
    assert (await whole.by(app)).status == 200
    endless = Call("POST", "/v1/databases/shop/query", body=[b"x" * 100] * 1_000)
    endless.headers.update(bench._headers)
    assert (await endless.by(app)).status == 413
    assert len(endless.body) > 980


async def test_a_deadline_past_the_limit_is_cut_to_it(bench: Bench) -> None:
    sql = b'{"sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"}'
    answer = await bench.call("POST", "/v1/databases/shop/query?timeout_ms=3600000", sql)
    assert answer.status == 504


async def test_the_hot_paths_answer_what_their_routes_answer(bench: Bench) -> None:
    app = bench.app
    requests = [
        ("GET", "/v1/databases/shop/tables/t/rows/1", b""),
        ("GET", "/v1/databases/shop/tables/t/rows/2", b""),
        ("GET", "/v1/databases/shop/tables/no/rows/2", b""),
        ("GET", "/v1/databases/no/tables/t/rows/2", b""),
        ("GET", "/v1/databases/shop/tables/t/rows?limit=1", b""),
        ("GET", "/v1/databases/shop/tables/t/rows?nope=1", b""),
        ("POST", "/v1/databases/shop/query", b'{"sql": "SELECT * FROM t"}'),
        ("POST", "/v1/databases/shop/query", b'{"sql": "SELECT * FRO t"}'),
        ("POST", "/v1/databases/no/query", b'{"sql": "SELECT 1"}'),
    ]
    hot = [await bench.call(*request) for request in requests]
    app._hot = lambda *_: None  # type: ignore[method-assign] # the shortcut closed
    routed = [await bench.call(*request) for request in requests]
    assert [(call.status, call.answer) for call in hot] == [(call.status, call.answer) for call in routed]


async def test_a_backup_that_is_removed_while_they_are_listed_is_left_out(
    bench: Bench, tmp_path: Path
) -> None:
    path = "/v1/databases/shop/backup"
    made = json.loads((await bench.call("POST", path, b"{}")).answer)["name"]
    gone = tmp_path / "backups" / made.replace("shop-2", "shop-1")
    await anyio.Path(gone).symlink_to(
        "no-more"
    )  # as one that is there when they are found, and not any more when it is looked at
    listed = await bench.call("GET", path)
    assert [each["name"] for each in json.loads(listed.answer)["backups"]] == [made]


async def test_a_web_socket_is_refused(bench: Bench) -> None:
    call = Call()
    await bench.app({"type": "websocket", "path": "/"}, call.receive, call.send)
    assert call.sent[0]["type"] == "websocket.close"

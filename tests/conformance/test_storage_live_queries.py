"""Queries that answer again when their answer has changed, alike in every kind of worker and on both loops."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import storage
from storage import (
    Database,
    Databases,
    ParameterMismatch,
    SqlError,
    StorageSettings,
    TableNotFollowed,
    change_log,
)
from tests.support.loops import one_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_names = (f"db-{number}" for number in count())
LIMIT_S = 20.0
NAMES = "SELECT name FROM t WHERE id < ? ORDER BY id"


@pytest.fixture(params=["inline", "thread", "process"], scope="module")
async def databases(
    anyio_backend: Any,  # noqa: ARG001 - on each loop
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Databases]:
    if request.param == "inline":
        settings = StorageSettings(use_workers=False)
    else:
        settings = StorageSettings(kind=request.param, worker_count=2)
    async with storage.open_databases(tmp_path_factory.mktemp("live"), settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing but a write wake who waits."""
    monkeypatch.setattr(change_log, "TICK_S", 1_000.0)


@pytest.fixture
async def db(databases: Databases) -> AsyncIterator[Database]:
    name = next(_names)
    database = await databases.create(name)
    await database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, name)")
    await database.execute("CREATE TABLE other(id INTEGER PRIMARY KEY)")
    await database.execute("CREATE VIEW v AS SELECT count(*) AS n FROM t")
    await database.follow_tables(["t"])
    yield database
    await databases.drop(name)


async def test_the_rows_come_at_once_and_again_when_they_are_others(db: Database) -> None:
    await db.execute("INSERT INTO t VALUES(1, 'a')")
    live = db.live_query(NAMES, [10])
    found = [await anext(live)]
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                found.append(await anext(live))

            group.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            await db.execute("INSERT INTO t VALUES(2, 'b')")
    assert found == [[("a",)], [("a",), ("b",)]]


@one_loop
async def test_what_does_not_change_the_answer_is_not_told(db: Database) -> None:
    live = db.live_query(NAMES, [10])
    assert await live.next_answer(0) == []
    await db.execute("INSERT INTO t VALUES(20, 'far away')")
    await db.execute("INSERT INTO other VALUES(1)")
    assert await live.next_answer(0) is None
    await db.execute("INSERT INTO t VALUES(1, 'a')")
    await db.execute("UPDATE t SET name = 'b'")
    assert await live.next_answer(0) == [("b",)]
    assert live.cursor == await storage.change_cursor(db)


@one_loop
async def test_a_statement_that_many_ask_for_runs_once_for_all(db: Database) -> None:
    lives = [db.live_query(NAMES, [10]) for _ in range(20)]
    for live in lives:
        await live.next_answer(0)
    await db.execute("INSERT INTO t VALUES(1, 'a')")
    answers = [await live.next_answer(0) for live in lives]
    assert all(answer is answers[0] for answer in answers)
    assert await db.live_query(NAMES, [0]).next_answer(0) == []


@one_loop
async def test_tables_are_found_under_views_and_where_no_column_is_read(db: Database) -> None:
    lives = [db.live_query("SELECT n FROM v"), db.live_query("SELECT count(*) FROM T, json_each('[1]')")]
    for live in lives:
        assert await live.next_answer(0) == [(0,)]
    await db.execute("INSERT INTO t VALUES(1, 'a')")
    for live in lives:
        assert await live.next_answer(0) == [(1,)]


@one_loop
async def test_as_json_it_is_what_a_query_answers(db: Database) -> None:
    live = db.live_json("SELECT id, name FROM t", shape="arrays")
    assert json.loads(await anext(live)) == {"columns": ["id", "name"], "rows": []}
    await db.execute("INSERT INTO t VALUES(1, 'a')")
    assert json.loads(await anext(live)) == {"columns": ["id", "name"], "rows": [[1, "a"]]}


@one_loop
async def test_a_listener_that_the_log_left_behind_gets_the_answer_of_now(db: Database) -> None:
    await db.keep_changes(max_count=1, max_age_s=3_600)
    live = db.live_query("SELECT count(*) FROM t")
    await live.next_answer(0)
    await db.execute_batch([("INSERT INTO t VALUES(?, 'x')", (number,)) for number in range(600)])
    assert await live.next_answer(0) == [(600,)]
    await db.execute("DELETE FROM t")
    assert await live.next_answer(0) == [(0,)]


@one_loop
async def test_what_cannot_be_listened_to_is_refused(db: Database) -> None:
    with pytest.raises(TableNotFollowed, match="other"):
        await anext(db.live_query("SELECT t.id FROM t JOIN other USING (id)"))
    with pytest.raises(SqlError):
        await anext(db.live_query("SELECT missing FROM t"))
    with pytest.raises(ParameterMismatch):
        db.live_query(NAMES, [object()])
    live = db.live_query(NAMES, [10])
    await live.next_answer(0)
    await db.unfollow_tables(["t"])
    for _ in range(2):
        with pytest.raises(TableNotFollowed):
            await live.next_answer(0)
    await db.follow_tables(["t"])
    await db.execute("INSERT INTO t VALUES(1, 'a')")
    assert await live.next_answer(0) == [("a",)]

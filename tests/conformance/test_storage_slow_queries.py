"""What was slow is kept and logged with its plan, on every kind of pool, and what a read costs can be asked for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from storage import QueryTimedOut, SlowQuery, StorageSettings, open_databases
from storage.slow_queries import MAX_KEPT_COUNT
from tests.support.loops import ASYNCIO, on
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage import Database, Databases

anyio_backend = on(ASYNCIO)  # what is kept of a query knows no loop

LIMIT_S = 30.0
SLOW = "SELECT count(*), ? FROM item a, item b WHERE a.name > b.name"
EVERYTHING_S = 1e-6
"""So that everything is slow."""


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@asynccontextmanager
async def opened(folder: Path, kind: str, **numbers: Any) -> AsyncIterator[tuple[Databases, Database]]:
    chosen: dict[str, Any] = {"use_workers": False} if kind == "inline" else {"kind": kind, "worker_count": 1}
    settings = StorageSettings(**{"slow_query_s": EVERYTHING_S, **chosen, **numbers})
    with anyio.fail_after(LIMIT_S):
        async with open_databases(folder, settings) as databases:
            db = await databases.create("shop")
            await db.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT) STRICT")
            yield databases, db


def kept(db: Database, sql: str) -> SlowQuery | None:
    return next((one for one in db._means.slow.latest() if one.sql == sql), None)


async def test_a_slow_read_is_kept_with_its_plan_and_logged_without_its_values(
    tmp_path: Path, kind: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with opened(tmp_path, kind) as (databases, db):
            for _ in range(3):
                await db.query(SLOW, ["a secret"])
            await until(lambda: (found := kept(db, SLOW)) is not None and found.plan is not None)
            found = next(one for one in (await databases.report()).slow if one.sql == SLOW)
    assert (found.database, found.count) == ("shop", 3)
    assert found.plan is not None
    assert found.plan.full_scans == ["a", "b"]
    told = [line for line in logs if line["event"] == "storage.query_slow" and line["sql"] == SLOW]
    assert {line["count"] for line in told} <= {1, 2, 3}
    assert told[0]["full_scans"] == ["a", "b"]
    assert told[0]["plan"]
    assert "a secret" not in str(logs)


async def test_a_slow_write_is_kept_too_and_so_is_a_read_that_was_stopped(tmp_path: Path, kind: str) -> None:
    write = "UPDATE item SET name = ?"
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    async with opened(tmp_path, kind) as (_, db):
        await db.execute(write, ["x"])
        with pytest.raises(QueryTimedOut):
            await db.query(endless, timeout_s=0.1)
        await until(lambda: (stopped := kept(db, endless)) is not None and stopped.worst_ms > 50)
        await until(lambda: (found := kept(db, write)) is not None and found.plan is not None)
        assert [one.sql for one in db._means.slow.latest() if one.sql.startswith("EXPLAIN")] == []


async def test_what_is_quick_is_not_kept(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind, slow_query_s=60.0) as (databases, db):
        for _ in range(20):
            await db.query(SLOW, [1])
        assert (await databases.report()).slow == []


async def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    async with opened(tmp_path, "inline") as (_, db):
        for number in range(2 * MAX_KEPT_COUNT):
            await db.query(f"SELECT {number}")
        texts = [one.sql for one in db._means.slow.latest()]
        assert len(texts) == MAX_KEPT_COUNT
        assert f"SELECT {2 * MAX_KEPT_COUNT - 1}" in texts


async def test_a_read_is_measured_and_leaves_nothing_behind(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind) as (_, db):
        await db.execute_batch([("INSERT INTO item(name) VALUES (?)", [f"item {n}"]) for n in range(200)])
        few = await db.measure("SELECT * FROM item WHERE id < 10")
        many = await db.measure("SELECT * FROM item a, item b WHERE a.name <> b.name")
        assert (few.row_count, many.row_count) == (9, 200 * 199)
        assert few.vm_steps < many.vm_steps
        assert few.size_bytes < many.size_bytes
        assert many.scan_steps >= 199
        assert many.step_us > 0
        await db.execute("DROP TABLE item")  # nobody holds it

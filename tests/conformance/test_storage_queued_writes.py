"""Writes that nobody waits for, on every kind of pool: taken at once, bounded, in order, counted when they fail."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from storage import (
    Database,
    Databases,
    NotAllowed,
    ParameterMismatch,
    Queued,
    QueuedStatistics,
    StorageSaturated,
    StorageSettings,
    Written,
    open_databases,
)
from tests.support.loops import one_loop
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIMIT_S = 30.0
ADD = "INSERT INTO item(name) VALUES (?)"
LONG = "INSERT INTO item(name) WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT 'long' FROM n WHERE i < 2"
"""A write of a moment, behind which others wait."""


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@asynccontextmanager
async def opened(folder: Path, kind: str, **numbers: Any) -> AsyncIterator[tuple[Databases, Database]]:
    chosen: dict[str, Any] = {"use_workers": False} if kind == "inline" else {"kind": kind, "worker_count": 1}
    with anyio.fail_after(LIMIT_S):
        async with open_databases(folder, StorageSettings(**chosen, **numbers)) as databases:
            db = await databases.create("shop")
            await db.execute(
                "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'bad')) STRICT"
            )
            yield databases, db


def counts(databases: Databases) -> QueuedStatistics:
    return databases.statistics().queued


async def names(db: Database) -> list[str]:
    return [name for (name,) in await db.query("SELECT name FROM item ORDER BY id")]


async def test_a_queued_write_returns_while_it_waits_and_is_done_in_its_turn(
    tmp_path: Path, kind: str
) -> None:
    async with opened(tmp_path, kind) as (databases, db):
        async with anyio.create_task_group() as group:
            group.start_soon(db.execute, LONG)
            await until(lambda: db._gate._writing_count == 1)
            assert await db.execute(ADD, ["lamp"], ack="queued") == Queued(ack="queued")
            assert counts(databases).waiting_count == 1
            done = await db.execute("UPDATE item SET name = 'desk' WHERE name = 'lamp'")
            assert (done.ack, done.changes) == ("durable", 1)
        assert (await names(db))[-1] == "desk"
        assert counts(databases) == QueuedStatistics(
            waiting_count=0, waiting_bytes=0, written_count=1, failed={}
        )


@one_loop
async def test_no_more_are_taken_than_may_wait_and_a_durable_write_still_is(
    tmp_path: Path, kind: str
) -> None:
    async with opened(tmp_path, kind, max_queued_writes=5, max_queue_size=10) as (databases, db):
        for number in range(5):
            assert isinstance(await db.execute(ADD, [f"queued {number}"], ack="queued"), Queued)
        with pytest.raises(StorageSaturated, match="5 queued writes") as caught:
            await db.execute(ADD, ["one too many"], ack="queued")
        assert caught.value.retry_after_s > 0
        assert isinstance(await db.execute(ADD, ["durable"]), Written)
        assert await names(db) == [*(f"queued {number}" for number in range(5)), "durable"]
        assert counts(databases).waiting_count == 0


@one_loop
async def test_no_more_are_taken_once_they_hold_their_bytes(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind, max_queued_bytes=10_000) as (databases, db):
        await db.execute(ADD, ["x" * 10_000], ack="queued")
        assert counts(databases).waiting_bytes > 10_000
        with pytest.raises(StorageSaturated):
            await db.execute(ADD, ["lamp"], ack="queued")
        await until(lambda: counts(databases).waiting_bytes == 0)
        await db.execute(ADD, ["lamp"], ack="queued")


@one_loop
async def test_one_that_fails_is_counted_and_logged_and_costs_its_neighbours_nothing(
    tmp_path: Path, kind: str
) -> None:
    async with opened(tmp_path, kind) as (databases, db):
        with structlog.testing.capture_logs() as logs:
            for name in ("a", "bad", "b", "bad", "bad", "c"):
                await db.execute(ADD, [name], ack="queued")
            await until(lambda: counts(databases).waiting_count == 0)
        assert await names(db) == ["a", "b", "c"]
        assert (counts(databases).written_count, counts(databases).failed) == (3, {"ConstraintViolated": 3})
        told = [line for line in logs if line["event"] == "storage.queued_write_failed"]
        assert [(line["database"], line["error"], line["count"]) for line in told] == [
            ("shop.db", "ConstraintViolated", 1),
            ("shop.db", "ConstraintViolated", 2),
        ]


@one_loop
async def test_a_queued_batch_is_all_or_nothing(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind) as (databases, db):
        assert await db.execute_batch([(ADD, ["a"]), (ADD, ["b"])], ack="queued") == Queued()
        await db.execute_batch([(ADD, ["c"]), (ADD, ["bad"])], ack="queued")
        await until(lambda: counts(databases).waiting_count == 0)
        assert await names(db) == ["a", "b"]


@one_loop
async def test_what_changes_more_than_rows_or_fits_in_no_message_is_refused_at_once(
    tmp_path: Path, kind: str
) -> None:
    async with opened(tmp_path, kind) as (databases, db):
        with pytest.raises(NotAllowed, match="can be queued"):
            await db.execute("CREATE TABLE other(a)", ack="queued")
        with pytest.raises(ParameterMismatch):
            await db.execute(ADD, [object()], ack="queued")
        assert counts(databases).waiting_count == 0
        async with db.transaction() as held:  # nothing is left at the gate
            await held.execute(ADD, ["held"])


async def test_one_waits_its_turn_behind_a_transaction_that_is_held(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind, transaction_lease_s=LIMIT_S) as (databases, db):
        async with anyio.create_task_group() as group, db.transaction() as held:
            await held.execute(ADD, ["held"])
            group.start_soon(lambda: db.execute(ADD, ["queued"], ack="queued"))
            await until(lambda: len(db._gate._line) == 1)
        await until(lambda: counts(databases).written_count == 1)
        assert await names(db) == ["held", "queued"]


async def test_what_is_queued_when_the_storage_closes_is_written_first(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind) as (_, db):
        for number in range(300):
            await db.execute(ADD, [f"{number}"], ack="queued")
    async with open_databases(tmp_path, StorageSettings(kind="thread")) as databases:
        assert await names(databases.get("shop")) == [f"{number}" for number in range(300)]

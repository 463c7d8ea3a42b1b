"""A write-ahead log stays within its bound, whoever reads: the reads that hold it are ended and told why."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from storage import ReadTooOld, StorageSettings, TransactionLost, open_databases
from tests.support.loops import ASYNCIO, on
from tests.support.reading_elsewhere import reading_elsewhere
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage import Database, Databases

anyio_backend = on(
    ASYNCIO
)  # the pools and snapshots below are tried on both elsewhere; who holds a log knows no loop

LIMIT_S = 30.0
BOUND_BYTES = 1024 * 1024
BLOB_BYTES = 32 * 1024
ONE_WRITE_BYTES = 2 * BLOB_BYTES
"""The frames of one of the writes below, with the pages above the blob's."""
ENDLESS = "SELECT count(*) FROM item a, item b, item c, item d, item e, item f, item g, item h"


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(params=["thread", "process"])
def isolated(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@asynccontextmanager
async def opened(folder: Path, kind: str, **numbers: Any) -> AsyncIterator[tuple[Databases, Database]]:
    chosen: dict[str, Any] = {"use_workers": False} if kind == "inline" else {"kind": kind}
    settings = StorageSettings(**{"max_wal_bytes": BOUND_BYTES, **chosen, **numbers})
    with anyio.fail_after(LIMIT_S):
        async with open_databases(folder, settings) as databases:
            db = await databases.create("shop")
            await db.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, body BLOB) STRICT")
            await db.execute_batch([("INSERT INTO item(body) VALUES (?)", [b"small"])] * 50)
            yield databases, db


async def write_on(folder: Path, db: Database, *, written_bytes: int) -> int:
    """Write as much, each write on disk before the next, and return how long the log was at its longest."""
    log, longest = anyio.Path(folder / "shop.db-wal"), 0
    for _ in range(written_bytes // BLOB_BYTES):
        await db.execute("INSERT INTO item(body) VALUES (zeroblob(?))", [BLOB_BYTES])
        longest = max(longest, (await log.stat()).st_size)
    return longest


async def test_the_log_stays_within_its_bound_while_a_reader_is_held_open_under_writes(
    tmp_path: Path, isolated: str
) -> None:
    async with opened(tmp_path, isolated) as (databases, db), db.snapshot() as held:
        assert await held.query_one("SELECT count(*) FROM item") == (50,)
        longest = await write_on(tmp_path, db, written_bytes=2 * BOUND_BYTES)
        assert BOUND_BYTES // 2 < longest <= BOUND_BYTES + ONE_WRITE_BYTES
        with pytest.raises(ReadTooOld, match="write-ahead log could not be cut behind this read"):
            await held.query_one("SELECT count(*) FROM item")
        assert databases.statistics().logs.ended == {"log": 1}


async def test_readers_that_come_one_after_the_other_do_not_keep_the_log_from_being_cut(
    tmp_path: Path, isolated: str
) -> None:
    async with opened(tmp_path, isolated) as (_, db):

        async def read_on() -> None:
            while True:
                async with db.snapshot() as held:
                    with suppress(ReadTooOld):
                        while True:
                            await held.query_one("SELECT count(*) FROM item")

        async with anyio.create_task_group() as group:
            group.start_soon(read_on)
            longest = await write_on(tmp_path, db, written_bytes=2 * BOUND_BYTES)
            group.cancel_scope.cancel()
        assert longest <= BOUND_BYTES + ONE_WRITE_BYTES


async def test_without_readers_the_log_stays_far_below_its_bound(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind) as (databases, db):
        longest = await write_on(tmp_path, db, written_bytes=2 * BOUND_BYTES)
        assert longest <= BOUND_BYTES // 2 + ONE_WRITE_BYTES
        assert databases.statistics().logs.ended == {}


async def test_on_the_loop_too_a_held_reader_is_ended_and_the_log_is_cut(tmp_path: Path) -> None:
    async with opened(tmp_path, "inline") as (databases, db), db.snapshot() as held:

        async def read_and_write() -> None:
            while await held.query_one("SELECT 1"):
                await write_on(tmp_path, db, written_bytes=BLOB_BYTES)

        with pytest.raises(ReadTooOld):
            await read_and_write()
        assert databases.statistics().logs.ended == {"log": 1}
        longest = await write_on(tmp_path, db, written_bytes=2 * BOUND_BYTES)
        log = anyio.Path(tmp_path / "shop.db-wal")
        assert longest >= (await log.stat()).st_size <= BOUND_BYTES + ONE_WRITE_BYTES


async def test_a_stream_and_a_query_that_hold_the_log_are_told_too(tmp_path: Path, isolated: str) -> None:
    errors: list[Exception] = []

    async def query(db: Database) -> None:
        try:
            await db.query_one(ENDLESS)
        except ReadTooOld as error:
            errors.append(error)

    async with opened(tmp_path, isolated, stream_chunk_bytes=1024) as (databases, db):
        async with (
            anyio.create_task_group() as group,
            aclosing(db.stream_json("SELECT a.id FROM item a, item b, item c")) as pieces,
        ):
            group.start_soon(query, db)
            await anext(pieces)
            await until(lambda: databases.statistics().reader.in_flight_count == 1)
            while databases.statistics().logs.ended.get("log", 0) < 2:
                await write_on(tmp_path, db, written_bytes=BLOB_BYTES)
            with pytest.raises(ReadTooOld, match="write-ahead log"):
                async for _ in pieces:
                    pass
        assert [str(error)[:19] for error in errors] == ["the write-ahead log"]


async def test_a_read_as_old_as_any_may_be_is_ended_though_its_own_deadline_is_later(
    tmp_path: Path, kind: str
) -> None:
    async with opened(tmp_path, kind, reader_age_s=0.2) as (databases, db):
        with pytest.raises(ReadTooOld, match=r"took 0\.2 s"):
            await db.query_one(ENDLESS, timeout_s=60.0)
        assert databases.statistics().logs.ended == {"age": 1}


async def test_a_snapshot_that_is_too_old_is_closed_though_its_worker_has_nothing_to_do(
    tmp_path: Path, kind: str
) -> None:
    async with opened(tmp_path, kind, reader_age_s=0.3) as (databases, db), db.snapshot() as held:
        assert await held.query_one("SELECT 1") == (1,)
        await until(lambda: databases.statistics().logs.ended == {"age": 1})
        assert databases.statistics().logs.oldest_reader_s > 0.3
        await write_on(tmp_path, db, written_bytes=BOUND_BYTES)  # else it would hold the log
        with pytest.raises(ReadTooOld, match=r"held one state for 0\.3 s"):
            await held.query_one("SELECT 1")


async def test_a_snapshot_that_is_left_is_closed_too(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind, stream_idle_s=0.1) as (_, db), db.snapshot() as held:
        assert await held.query_one("SELECT 1") == (1,)
        await until(lambda: held._held.is_told)
        with pytest.raises(TransactionLost, match="left waiting"):
            await held.query_one("SELECT 1")


async def test_a_log_that_another_process_held_is_cut_once_that_is_gone_though_nobody_writes(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.log_governor._TRY_S", 0.05)
    async with opened(tmp_path, kind, busy_timeout_s=0.01) as (databases, db):
        elsewhere = reading_elsewhere(tmp_path / "shop.db")
        await anyio.to_thread.run_sync(elsewhere.__enter__)
        try:
            assert await write_on(tmp_path, db, written_bytes=2 * BOUND_BYTES) > BOUND_BYTES
            await until(lambda: databases.statistics().logs.largest_wal_bytes > BOUND_BYTES)
        finally:
            await anyio.to_thread.run_sync(elsewhere.__exit__, None, None, None)
        await until(lambda: databases.statistics().logs.largest_wal_bytes == 0)


async def test_the_statistics_know_the_log_and_who_reads(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind) as (databases, db):
        await write_on(tmp_path, db, written_bytes=BLOB_BYTES)
        async with db.snapshot():
            await until(lambda: databases.statistics().logs.wal_bytes > BLOB_BYTES)
            logs = databases.statistics().logs
            assert (logs.held_count, logs.largest_wal_bytes) == (1, logs.wal_bytes)
            assert 0 < logs.oldest_reader_s < LIMIT_S
        assert databases.statistics().logs.held_count == 0

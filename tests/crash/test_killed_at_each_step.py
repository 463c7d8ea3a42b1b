"""A worker that is killed at any step of its work: what its callers are told, and what is there afterwards."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

import storage
from storage import StorageError, StorageSettings, StorageUnavailable, TransactionLost
from tests.support import dying_services
from tests.support.dying_services import order_death

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from storage import Database

open_database = storage.open
LIMIT_S = 30

WRITES = {
    # the step at which the writer is killed: what the caller is told, and whether the row is there
    "arrived": ("WriteOutcomeUnknown", False),
    "begun": ("WriteOutcomeUnknown", False),
    "ran": ("WriteOutcomeUnknown", False),
    "committed": ("WriteOutcomeUnknown", True),
    "answers": ("WriteOutcomeUnknown", True),
    "tends": ("written", True),
}


@pytest.fixture
async def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr("storage.generations._WRITER", dying_services.WRITER)
    monkeypatch.setattr("storage.generations._READER", dying_services.READER)
    with anyio.fail_after(LIMIT_S):
        async with open_database(tmp_path / "d.db", StorageSettings(worker_count=1)) as opened:
            await opened.execute("CREATE TABLE item (name TEXT UNIQUE)")
            await write(opened, "before")
            yield opened


async def write(db: Database, name: str) -> str:
    try:
        await db.execute("INSERT INTO item VALUES (?)", [name])
    except StorageError as error:
        return type(error).__name__
    return "written"


async def names(db: Database) -> set[str]:
    return {name for (name,) in await db.query("SELECT name FROM item")}


async def died(order: Path) -> bool:
    return not await anyio.Path(order).exists()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("step", WRITES)
async def test_a_writer_killed_at_any_step_loses_no_acknowledged_write(
    db: Database, tmp_path: Path, step: str
) -> None:
    told, is_there = WRITES[step]
    order = await anyio.to_thread.run_sync(order_death, tmp_path / "d.db", step)
    assert await write(db, "during") == told
    assert await write(db, "after") in {"written", "WriteOutcomeUnknown"}  # the same death, if it came late
    assert await write(db, "last") == "written"
    assert await died(order)
    there = await names(db)
    assert {"before", "last"} <= there
    assert ("during" in there) == is_there
    assert await db.query("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("step", ["ran", "committed"])
async def test_of_writes_in_company_each_is_there_or_was_not_acknowledged(
    db: Database, tmp_path: Path, step: str
) -> None:
    order = await anyio.to_thread.run_sync(order_death, tmp_path / "d.db", step)
    told: dict[str, str] = {}

    async def one(name: str) -> None:
        told[name] = await write(db, name)

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(one, f"{number}")
    assert await write(db, "last") == "written"
    assert await died(order)
    there = await names(db)
    assert {name for name, outcome in told.items() if outcome == "written"} <= there
    assert there - {"before", "last"} <= {
        name for name, outcome in told.items() if outcome in {"written", "WriteOutcomeUnknown"}
    }


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("step", ["asked", "answers"])
async def test_a_read_whose_reader_is_killed_is_told_so_and_the_next_is_answered(
    db: Database, tmp_path: Path, step: str
) -> None:
    order = await anyio.to_thread.run_sync(order_death, tmp_path / "d.db", step)
    with pytest.raises(StorageUnavailable):
        await names(db)
    assert await died(order)
    assert await names(db) == {"before"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_stream_whose_reader_is_killed_says_so_and_the_next_is_whole(
    db: Database, tmp_path: Path
) -> None:
    await db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000) INSERT INTO item SELECT i FROM n"
    )
    async with aclosing(db.stream_json("SELECT name FROM item", format="ndjson")) as pieces:
        await anext(pieces)
        await anyio.to_thread.run_sync(order_death, tmp_path / "d.db", "asked")
        with pytest.raises(StorageUnavailable):
            await _rest(pieces)
    whole = await _rest(db.stream_json("SELECT name FROM item", format="ndjson"))
    assert whole.count(b"\n") == 50_001


async def _rest(pieces: AsyncGenerator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_open_transaction_dies_with_its_writer(db: Database, tmp_path: Path) -> None:
    with pytest.raises(TransactionLost):
        await _transaction(db, tmp_path)
    assert await write(db, "after") == "written"
    assert await names(db) == {"before", "after"}


async def _transaction(db: Database, folder: Path) -> None:
    async with db.transaction() as held:
        await held.execute("INSERT INTO item VALUES ('during')")
        await anyio.to_thread.run_sync(order_death, folder / "d.db", "arrived")
        await held.execute("INSERT INTO item VALUES ('too')")

"""Databases of a folder that are made and dropped by who does not wait, beside files that others put there."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread
import apsw
import pytest

from storage import (
    Database,
    DatabaseExists,
    DatabaseNotFound,
    Databases,
    StorageSettings,
    open_databases,
)
from storage import open as open_storage
from tests.support.waiting import until
from workers.protocol import FIRST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIMIT_S = 30.0


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Databases]:
    with anyio.fail_after(LIMIT_S):
        async with open_databases(folder, StorageSettings(worker_count=1)) as databases:
            yield databases


def runs_something(db: Database) -> bool:
    """Return whether the writer has begun with a call."""
    worker = db._writers._dispatcher.slots[0].worker
    return worker is not None and worker.page[FIRST] > 0


async def test_a_database_whose_drop_nobody_waits_for_is_dropped_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        shop = await databases.create("shop")
        await shop.execute("CREATE TABLE item (name TEXT) STRICT")
        reader = apsw.Connection(str(tmp_path / "shop.db"))
        reader.execute("BEGIN; SELECT * FROM item")  # the writer waits for it before it lets the file go
        await shop.execute("INSERT INTO item VALUES ('lamp')")
        async with anyio.create_task_group() as group:
            group.start_soon(databases.drop, "shop")
            await until(lambda: runs_something(shop))
            group.cancel_scope.cancel()
        reader.close()
        assert databases.names() == []
        with pytest.raises(DatabaseNotFound):
            await shop.query("SELECT name FROM item")
        again = await databases.create("shop")
        assert await again.query("SELECT count(*) FROM sqlite_schema") == [(0,)]


async def test_a_database_whose_making_nobody_waits_for_is_known_if_it_is_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        for turns in range(12):
            name = f"made-{turns}"
            async with anyio.create_task_group() as group:
                group.start_soon(databases.create, name)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        assert [f"{name}.db" for name in databases.names()] == sorted(
            [found.name async for found in anyio.Path(tmp_path).glob("*.db")]
        )


async def test_a_file_that_came_from_elsewhere_is_known_once_its_name_was_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        foreign = apsw.Connection(str(tmp_path / "shop.db"))
        foreign.execute("CREATE TABLE item (name TEXT)")
        foreign.close()
        with pytest.raises(DatabaseNotFound):
            databases.get("shop")
        with pytest.raises(DatabaseExists):
            await databases.create("shop")
        assert await databases.get("shop").query("SELECT count(*) FROM item") == [(0,)]


async def test_workers_that_start_later_find_a_file_that_was_opened_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is streamed is read by a worker for maintenance, which is started when there is some."""
    await anyio.Path(tmp_path / "elsewhere").mkdir()
    await anyio.to_thread.run_sync(monkeypatch.chdir, tmp_path)
    with anyio.fail_after(LIMIT_S):
        async with open_storage("shop.db", StorageSettings(worker_count=1)) as shop:
            await shop.execute("CREATE TABLE item (name TEXT)")
            await anyio.to_thread.run_sync(monkeypatch.chdir, tmp_path / "elsewhere")
            assert [piece async for piece in shop.stream_json("SELECT 1 AS one FROM item")] == [b"[]"]


@pytest.mark.parametrize("name", [":memory:", "file:shop?mode=memory", "a b?c#d%41.db", "line\nline.db"])
async def test_whatever_a_file_is_called_what_is_written_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await anyio.to_thread.run_sync(monkeypatch.chdir, tmp_path)
    settings = StorageSettings(worker_count=1, kind="thread")
    with anyio.fail_after(LIMIT_S):
        async with open_storage(name, settings) as shop:
            await shop.execute_batch(
                [("CREATE TABLE item (name TEXT)", ()), ("INSERT INTO item VALUES (7)", ())]
            )
        async with open_storage(name, settings) as shop:
            assert await shop.query("SELECT name FROM item") == [("7",)]
    assert await anyio.Path(tmp_path / name).is_file()


async def test_a_database_whose_file_was_removed_by_hand_is_forgotten_by_its_drop(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        await databases.create("shop")
        await anyio.Path(tmp_path / "shop.db").unlink()
        with pytest.raises(DatabaseNotFound):
            await databases.drop("shop")
        assert databases.names() == []
        await databases.create("shop")

"""Databases of a folder that are made and dropped by who does not wait, beside files that others put there."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
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


async def test_a_database_whose_file_was_removed_by_hand_is_forgotten_by_its_drop(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        await databases.create("shop")
        await anyio.Path(tmp_path / "shop.db").unlink()
        with pytest.raises(DatabaseNotFound):
            await databases.drop("shop")
        assert databases.names() == []
        await databases.create("shop")

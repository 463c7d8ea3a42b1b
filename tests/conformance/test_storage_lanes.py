"""Maintenance beside everything else, and tenants beside each other, as storage's callers see it."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from storage import Databases, SqlError, StorageSaturated, StorageSettings, open_databases
from storage.maintenance import MAX_WAITING_COUNT, MaintenanceLane
from tests.support.loops import ASYNCIO, on
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

anyio_backend = on(ASYNCIO)  # lanes and tenants are those of the pools, which `test_pool_lanes` tries on both

LIMIT_S = 30.0
SLOW_INDEX = "CREATE INDEX slow ON item(length(hex(zeroblob(20000 + id % 7))) + id)"
ADD = "INSERT INTO item(name) VALUES ('a')"


@pytest.fixture(params=["thread", "process"])
def isolated(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@asynccontextmanager
async def opened(folder: Path, kind: str, **numbers: Any) -> AsyncIterator[Databases]:
    settings = StorageSettings(kind=kind, **numbers)  # type: ignore[arg-type]  # one of two literals
    with anyio.fail_after(LIMIT_S):
        async with open_databases(folder, settings) as databases:
            for name in ("shop", "other"):
                db = await databases.create(name)
                await db.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT) STRICT")
            yield databases


async def test_while_an_index_is_built_other_databases_are_written_and_its_own_writes_follow_it(
    tmp_path: Path, isolated: str
) -> None:
    order: list[str] = []

    async def execute(db: Any, sql: str, said: str) -> None:
        await db.execute(sql)
        order.append(said)

    async with opened(tmp_path, isolated) as databases:
        shop, other = databases.get("shop"), databases.get("other")
        await shop.execute_batch([(ADD, ())] * 8_000)
        async with anyio.create_task_group() as group:
            group.start_soon(execute, shop, SLOW_INDEX, "index")
            await until(lambda: databases.statistics().writer.in_flight_count == 1)
            group.start_soon(execute, shop, ADD, "its own")
            for _ in range(3):
                await other.execute(ADD)
            order.append("others")
        assert order == ["others", "index", "its own"]


async def test_an_index_is_built_again_after_its_table_was_made_anew_by_another_writer(
    tmp_path: Path, isolated: str
) -> None:
    async with opened(tmp_path, isolated) as databases:
        shop = databases.get("shop")
        for _ in range(2):
            await shop.execute("CREATE TABLE fleeting(a)")
            await shop.execute("CREATE INDEX fleeting_a ON fleeting(a)")  # its writer is another one
            with pytest.raises(SqlError, match="already exists"):
                await shop.execute("CREATE INDEX fleeting_a ON fleeting(a)")
            await shop.execute("DROP TABLE fleeting")


async def test_an_export_takes_no_reader_from_others(tmp_path: Path, isolated: str) -> None:
    async with opened(tmp_path, isolated, worker_count=1, stream_chunk_bytes=1024) as databases:
        shop = databases.get("shop")
        await shop.execute_batch([(ADD, ())] * 1_000)
        async with aclosing(shop.stream_json("SELECT * FROM item a, item b")) as pieces:
            await anext(pieces)
            slots = shop._readers._dispatcher.slots
            assert [slot.session_count for slot in slots] == [0, 1]
            assert await shop.query_one("SELECT count(*) FROM item") == (1_000,)


async def test_backups_run_one_after_the_other_and_count_as_readers(tmp_path: Path, isolated: str) -> None:
    async with opened(tmp_path / "data", isolated) as databases:
        lane = databases.get("shop")._means.maintenance
        async with anyio.create_task_group() as group:
            for number in range(2):
                group.start_soon(databases.get("shop").back_up, tmp_path / f"copy-{number}.db")
            await until(lambda: lane.waiting_count == 1)
            assert lane.running_count == 1
            await until(lambda: databases.statistics().logs.held_count == 1)
        assert databases.statistics().logs.held_count == 0
    for number in range(2):
        assert await anyio.Path(tmp_path / f"copy-{number}.db").exists()


async def test_the_place_for_maintenance_has_a_bounded_queue() -> None:
    lane = MaintenanceLane(1)

    async def take() -> None:
        async with lane.place():
            await anyio.sleep_forever()

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            for _ in range(1 + MAX_WAITING_COUNT):
                group.start_soon(take)
            await until(lambda: lane.waiting_count == MAX_WAITING_COUNT)
            with pytest.raises(StorageSaturated) as caught:
                async with lane.place():
                    pass
            assert caught.value.retry_after_s > 0
            group.cancel_scope.cancel()


async def test_reads_of_a_database_are_answered_while_another_has_all_places(
    tmp_path: Path, isolated: str
) -> None:
    answers: list[Any] = []

    async def read(db: Any, said: str) -> None:
        try:
            await db.query_one("SELECT count(*) FROM item")
            answers.append(said)
        except StorageSaturated as error:
            answers.append(error)

    async with opened(tmp_path, isolated, max_queue_size=20, weights={"other": 4}) as databases:
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(read, databases.get("shop"), "shop")
            for _ in range(3):
                group.start_soon(read, databases.get("other"), "other")
        assert answers.count("other") == 3
        assert answers.count("shop") < 100

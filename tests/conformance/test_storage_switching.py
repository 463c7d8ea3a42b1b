"""Workers turned on and off while a storage is used: nothing is lost, doubled, refused or reordered by it."""

from __future__ import annotations

import os
import signal
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from storage import (
    Databases,
    StorageClosed,
    StorageError,
    StorageSaturated,
    StorageSettings,
    StorageUnavailable,
    TransactionLost,
    WriteOutcomeUnknown,
    open_databases,
)
from storage.switching import MAX_ASKED_COUNT, MAX_DRAINING_COUNT
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from storage import Database

LIMIT_S = 50.0
ADD = "INSERT INTO item(writer, number) VALUES (?, ?)"
SLOW_WRITE = """INSERT INTO item(writer, number)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT 0, i FROM n"""
ALL = "SELECT writer, number FROM item ORDER BY id"


@asynccontextmanager
async def opened(
    folder: Path, kind: str = "thread", *, use_workers: bool = True, **numbers: Any
) -> AsyncIterator[Databases]:
    settings = StorageSettings(
        kind=kind,  # type: ignore[arg-type]  # one of two literals
        use_workers=use_workers,
        worker_count=1,
        **numbers,
    )
    with anyio.fail_after(LIMIT_S):
        async with open_databases(folder, settings) as databases:
            yield databases


async def shop_of(databases: Databases) -> Database:
    shop = await databases.create("shop")
    await shop.execute(
        "CREATE TABLE item(id INTEGER PRIMARY KEY, writer INTEGER, number INTEGER, UNIQUE (writer, number)) STRICT"
    )
    return shop


async def ready(databases: Databases) -> None:
    """Wait until nothing is left of the workers of before."""
    await until(lambda: not databases.statistics().is_draining)


@pytest.mark.parametrize(("kind", "changes_count"), [("thread", 20), ("process", 4)])
async def test_every_write_is_there_once_and_in_order_and_none_fails_while_workers_go_on_and_off(
    tmp_path: Path, kind: str, changes_count: int
) -> None:
    acknowledged: list[list[int]] = [[], [], [], []]
    reads_count = 0
    is_over = False

    async def write(shop: Database, writer: int) -> None:
        number = 0
        while not is_over:
            number += 1
            if writer == 0:
                async with shop.transaction(
                    lease_s=LIMIT_S
                ) as held:  # on a busy machine the usual one is over
                    await held.execute(ADD, [writer, number])
            elif writer == 1:
                await shop.execute_batch([(ADD, [writer, number])])
            else:
                await shop.execute(ADD, [writer, number])
            acknowledged[writer].append(number)

    async def read(shop: Database) -> None:
        nonlocal reads_count
        seen = 0
        while not is_over:
            rows = await shop.query("SELECT count(*) FROM item")
            assert rows[0][0] >= seen  # what was seen once is never unseen
            seen = rows[0][0]
            reads_count += 1

    async with opened(tmp_path, kind) as databases:
        shop = await shop_of(databases)
        async with anyio.create_task_group() as group:
            for writer in range(len(acknowledged)):
                group.start_soon(write, shop, writer)
            for _ in range(3):
                group.start_soon(read, shop)
            for change in range(changes_count):
                await databases.use_workers(bool(change % 2))
                assert databases.statistics().kind == (kind if change % 2 else "inline")
                before = (reads_count, len(acknowledged[3]))
                await until(
                    lambda before=before: reads_count > before[0] + 3 and len(acknowledged[3]) > before[1] + 3  # type: ignore[misc]  # a lambda with a default
                )
            is_over = True
        rows = await shop.query(ALL)
        for writer, numbers in enumerate(acknowledged):
            assert [number for each, number in rows if each == writer] == numbers, writer
        assert databases.statistics().changes_count == changes_count
        await ready(databases)
    assert [found.name async for found in anyio.Path(tmp_path).iterdir()] == ["shop.db"]
    assert databases.statistics().changes_count == changes_count  # a server that has stopped still tells


async def test_what_is_asked_at_once_is_done_one_after_the_other_and_what_is_so_already_is_left(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as databases:
        shop = await shop_of(databases)
        async with anyio.create_task_group() as group:
            for wanted in (False, False, True, True, False):
                group.start_soon(databases.use_workers, wanted)
            for number in range(20):
                group.start_soon(shop.execute, ADD, [0, number])
        assert len(await shop.query(ALL)) == 20
        told = databases.statistics()
        assert told.changes_count in range(1, 6)  # trio has an order of its own
        assert told.use_workers is (told.changes_count % 2 == 0)


async def test_of_many_who_ask_at_once_for_workers_to_change_a_bounded_number_is_let_in(
    tmp_path: Path,
) -> None:
    told: list[str] = []

    async def ask(databases: Databases) -> None:
        try:
            await databases.use_workers(False)
        except StorageSaturated:
            told.append("saturated")
        else:
            told.append("changed")

    async with opened(tmp_path) as databases:
        async with anyio.create_task_group() as group:
            for _ in range(MAX_ASKED_COUNT + 5):
                group.start_soon(ask, databases)
        assert sorted(told) == ["changed"] * MAX_ASKED_COUNT + ["saturated"] * 5
        assert databases.statistics().changes_count == 1
        await databases.use_workers(True)  # the places are free again


async def test_a_stream_a_snapshot_and_queued_writes_end_where_they_began(tmp_path: Path) -> None:
    async with opened(tmp_path, stream_chunk_bytes=1024) as databases:
        shop = await shop_of(databases)
        await shop.execute_batch([(ADD, [0, number]) for number in range(2_000)])
        async with (
            shop.snapshot() as snapshot,
            aclosing(shop.stream_json("SELECT number FROM item")) as stream,
        ):
            pieces = [await anext(stream)]
            for number in range(100):
                await shop.execute(ADD, [1, number], ack="queued")
            await databases.use_workers(False)
            assert databases.statistics().is_draining
            assert databases.statistics().draining_count == 2
            await shop.execute(ADD, [1, 100])
            assert len(await snapshot.query(ALL)) == 2_000
            assert len(await shop.query(ALL)) == 2_101
            pieces += [piece async for piece in stream]
            assert b"".join(pieces).count(b"{") == 2_000
        await ready(databases)
        assert databases.statistics().queued.written_count == 100


async def test_a_change_waits_for_what_still_drains_and_is_refused_if_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.switching.PLACE_S", 0.05)
    async with opened(tmp_path) as databases:
        shop = await shop_of(databases)
        snapshots = []
        for change in range(MAX_DRAINING_COUNT):
            snapshots.append(await shop.open_snapshot())
            await databases.use_workers(bool(change % 2))
        with pytest.raises(StorageSaturated, match="2 calls of earlier workers"):
            await databases.use_workers(False)
        assert databases.statistics().use_workers
        for snapshot in snapshots:
            await snapshot.close()
        await ready(databases)
        await databases.use_workers(False)
        assert not databases.statistics().use_workers


async def test_what_does_not_end_in_time_ends_as_with_a_worker_that_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.generations._AGE_GRACE_S", 0.01)
    async with opened(tmp_path, reader_age_s=0.2) as databases:
        shop = await shop_of(databases)
        snapshot = await shop.open_snapshot()
        monkeypatch.setattr(snapshot._held, "opened_at", float("inf"))  # nobody else ends it
        await databases.use_workers(False)
        await ready(databases)
        with pytest.raises((TransactionLost, StorageClosed)):
            await snapshot.query(ALL)
        await snapshot.close()


async def test_a_transaction_that_is_held_goes_on_until_its_lease_is_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        shop = await shop_of(databases)
        async with anyio.create_task_group() as group, shop.transaction(lease_s=30.0) as held:
            await held.execute(ADD, [0, 1])
            group.start_soon(databases.use_workers, False)
            await until(lambda: databases.statistics().kind == "inline")
            await held.execute(ADD, [0, 2])
        assert await shop.query(ALL) == [(0, 1), (0, 2)]
        await shop.execute(ADD, [0, 3])
        await ready(databases)


async def test_a_write_waits_for_the_one_that_runs_on_the_workers_of_before(tmp_path: Path) -> None:
    order: list[str] = []

    async def execute(shop: Database, sql: str, said: str) -> None:
        await shop.execute(sql)
        order.append(said)

    async with opened(tmp_path, busy_timeout_s=0.001) as databases:  # two at once would be refused
        shop = await shop_of(databases)
        async with anyio.create_task_group() as group:
            group.start_soon(execute, shop, SLOW_WRITE, "slow")
            await until(lambda: databases.statistics().writer.in_flight_count == 1)
            group.start_soon(databases.use_workers, False)
            await until(lambda: databases.statistics().kind == "inline")
            group.start_soon(execute, shop, "DELETE FROM item WHERE number = 7", "quick")
        assert order == ["slow", "quick"]
        assert (await shop.query("SELECT count(*) FROM item"))[0] == (299_999,)


async def test_databases_that_are_made_dropped_and_replaced_meanwhile_are_written_by_one_worker(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as databases:
        shop = await shop_of(databases)
        await shop.back_up(tmp_path / "copy")
        async with anyio.create_task_group() as group:
            for change in range(6):
                group.start_soon(databases.use_workers, bool(change % 2))
                made = await databases.create(f"made-{change}")
                await made.execute("CREATE TABLE t (a INTEGER) STRICT")
                replaced = await databases.restore("shop", tmp_path / "copy")
                await replaced.execute(ADD, [0, change])
                assert await replaced.query(ALL) == [(0, change)]
                await databases.drop(f"made-{change}")
        await databases.use_workers(True)
        await ready(databases)


async def test_a_change_that_nobody_waits_for_any_more_is_made_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as databases:
        shop = await shop_of(databases)
        async with anyio.create_task_group() as group:
            group.start_soon(databases.use_workers, False)
            await until(lambda: databases._pools._means.switch._asked_count == 1)
            group.cancel_scope.cancel()
        await until(lambda: databases.statistics().kind == "inline")
        await shop.execute(ADD, [0, 1])


async def test_a_storage_that_closes_ends_a_change_and_makes_none(tmp_path: Path) -> None:
    refused: list[StorageError] = []

    async def change(databases: Databases) -> None:
        try:
            await databases.use_workers(False)
        except StorageClosed as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        async with opened(tmp_path) as databases:
            shop = await shop_of(databases)
            await shop.execute(ADD, [0, 1])
            group.start_soon(change, databases)
            await until(lambda: databases._pools._means.switch._asked_count == 1)
        with pytest.raises(StorageClosed):
            await databases.use_workers(False)
    async with opened(tmp_path, use_workers=False) as databases:
        assert await databases.get("shop").query(ALL) == [(0, 1)]
        await databases.use_workers(True)
        assert await databases.get("shop").query(ALL) == [(0, 1)]


async def test_workers_that_can_not_start_leave_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, use_workers=False) as databases:
        shop = await shop_of(databases)
        with monkeypatch.context() as patched:
            patched.setattr("storage.generations._READER", "storage.sqlite.service:NothingThere")
            with pytest.raises(StorageUnavailable):
                await databases.use_workers(True)
        await shop.execute(ADD, [0, 1])
        assert databases.statistics().kind == "inline"
        await databases.use_workers(True)
        assert databases.statistics().kind == "thread"
        assert await shop.query(ALL) == [(0, 1)]


async def test_workers_killed_in_the_midst_of_changes_cost_no_acknowledged_write(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    unknown: list[int] = []
    is_over = False

    async def write(shop: Database) -> None:
        number = 0
        while not is_over:
            number += 1
            try:
                await shop.execute(ADD, [0, number])
            except WriteOutcomeUnknown:
                unknown.append(number)
            except StorageUnavailable:
                continue
            else:
                acknowledged.append(number)

    async def change(databases: Databases, *, use_workers: bool) -> None:
        try:
            await databases.use_workers(use_workers)
        except StorageUnavailable:
            return  # a worker died while it started: nothing has changed
        changed.append(use_workers)

    changed: list[bool] = []
    others = await anyio.to_thread.run_sync(children)  # servers of other tests, say
    async with opened(tmp_path, "process") as databases:
        shop = await shop_of(databases)
        async with anyio.create_task_group() as group:
            group.start_soon(write, shop)
            for use_workers in (False, True, False, True, False):
                before = len(acknowledged)
                await until(lambda before=before: len(acknowledged) > before + 3)  # type: ignore[misc]  # a lambda with a default
                async with anyio.create_task_group() as changing:
                    changing.start_soon(partial(change, databases, use_workers=use_workers))
                    await anyio.lowlevel.checkpoint()
                    for child in await anyio.to_thread.run_sync(children) - others:
                        with suppress(ProcessLookupError):  # it has ended by itself since
                            os.kill(child, signal.SIGKILL)
            is_over = True
        assert changed
        found = [number for _, number in await shop.query(ALL)]
        assert [number for number in found if number not in unknown] == acknowledged
        assert len(found) == len(set(found))
        await ready(databases)


def children() -> set[int]:
    """Return the processes that this one has started."""
    return {
        int(each) for task in Path("/proc/self/task").glob("*/children") for each in task.read_text().split()
    }

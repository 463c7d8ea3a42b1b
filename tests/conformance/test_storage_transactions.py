"""Transactions of every form, on every kind of pool: held open, sent as a function, sent as a batch that refers back."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import apsw
import msgspec
import pytest

from storage import (
    ConstraintViolated,
    Database,
    Databases,
    Earlier,
    NotAllowed,
    ParameterMismatch,
    StorageError,
    StorageSaturated,
    StorageSettings,
    TransactionLost,
    WriteTimedOut,
    open_databases,
)
from storage import open as open_storage
from tests.support import sent_functions as functions
from tests.support.loops import one_loop
from tests.support.waiting import until
from workers.protocol import FIRST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ENDLESS = "INSERT INTO item WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i), 'x' FROM n"
LIMIT_S = 20.0
PATIENT_S = 60.0
"""A lease that no test outlives."""

_names = (f"db-{number}" for number in count())


@pytest.fixture(params=["inline", "thread", "process"], scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
async def databases(
    anyio_backend: Any,  # noqa: ARG001 - on each loop
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Databases]:
    folder = tmp_path_factory.mktemp("transactions")
    settings = settings_for(kind, transaction_lease_s=PATIENT_S, worker_count=1)
    async with open_databases(folder, settings) as opened:
        yield opened


@pytest.fixture
async def db(databases: Databases) -> AsyncIterator[Database]:
    db = await databases.create(next(_names))
    await db.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL) STRICT")
    await db.execute("CREATE TABLE part(item_id INTEGER NOT NULL REFERENCES item, name TEXT) STRICT")
    yield db
    await databases.drop(db.name)


@asynccontextmanager
async def opened(tmp_path: Path, kind: str, **numbers: Any) -> AsyncIterator[Database]:
    with anyio.fail_after(LIMIT_S):
        async with open_storage(tmp_path / "shop.db", settings_for(kind, worker_count=1, **numbers)) as db:
            await db.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT) STRICT")
            yield db


def settings_for(kind: str, **numbers: Any) -> StorageSettings:
    if kind == "inline":
        return StorageSettings(use_workers=False, **numbers)
    return StorageSettings(kind=kind, **numbers)  # type: ignore[arg-type]  # one of two literals


async def add(db: Any, name: str) -> int:
    rowid: int = (await db.execute("INSERT INTO item(name) VALUES (?)", [name])).last_insert_rowid
    return rowid


async def names(db: Any) -> list[str]:
    return [name for (name,) in await db.query("SELECT name FROM item ORDER BY id")]


# -- held open ----------------------------------------------------------------------------------------------------


async def test_what_a_transaction_wrote_is_seen_inside_it_at_once_and_outside_once_it_is_left(
    db: Database,
) -> None:
    async with db.transaction() as held:
        await add(held, "lamp")
        assert await names(held) == ["lamp"]
        assert await names(db) == []
    assert await names(db) == ["lamp"]


@one_loop
async def test_a_function_runs_inside_a_transaction_that_goes_on_when_it_fails(db: Database) -> None:
    async with db.transaction() as held:
        await add(held, "lamp")
        assert await held.run(functions.take_next_name, "chair") == "chair 1"
        with pytest.raises(functions.OutOfStock):
            await held.run(functions.refuse, "table")
        assert await names(held) == ["lamp", "chair 1"]
        assert await names(db) == []
    assert await names(db) == ["lamp", "chair 1"]


@one_loop
async def test_of_many_rows_those_that_a_rule_refuses_are_told_by_their_place(db: Database) -> None:
    sent = ["a", "b", "a", "c", None, None, "d", "b"]
    assert await db.write(functions.add_each, sent) == [
        4,
        [[place, "ConstraintViolated"] for place in (2, 4, 5, 7)],
    ]
    assert await names(db) == ["a", "b", "c", "d"]
    assert await db.write(functions.add_each, []) == [0, []]


class Item(msgspec.Struct):
    name: str


@one_loop
async def test_rows_of_a_transaction_come_as_what_was_asked_for(db: Database) -> None:
    async with db.transaction() as held:
        await add(held, "lamp")
        assert await held.query("SELECT name FROM item", into=Item) == [Item("lamp")]
        assert await held.query("DELETE FROM item RETURNING name") == [("lamp",)]


async def test_an_exception_undoes_the_whole_transaction(db: Database) -> None:
    async def fail() -> None:
        async with db.transaction() as held:
            await add(held, "lamp")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await names(db) == []


@one_loop
async def test_a_statement_that_fails_leaves_nothing_and_the_transaction_goes_on(db: Database) -> None:
    async with db.transaction() as held:
        await add(held, "lamp")
        with pytest.raises(ConstraintViolated):
            await held.execute("INSERT OR FAIL INTO item(name) VALUES ('desk'), ('lamp')")
        await add(held, "chair")
    assert await names(db) == ["lamp", "chair"]


@one_loop
async def test_a_statement_that_ends_the_transaction_ends_it_for_good(db: Database) -> None:
    async def go_on() -> None:
        async with db.transaction() as held:
            await add(held, "lamp")
            with pytest.raises(TransactionLost):
                await held.execute("INSERT OR ROLLBACK INTO item(name) VALUES ('lamp')")
            await add(held, "desk")

    with pytest.raises(TransactionLost):
        await go_on()
    assert await names(db) == []


async def test_savepoints_nest_and_undo_what_is_inside_them_alone(db: Database) -> None:
    async def fail() -> None:
        async with held.savepoint():
            await add(held, "two")
            async with held.savepoint():
                await add(held, "three")
            raise ZeroDivisionError

    async with db.transaction() as held:
        await add(held, "one")
        with pytest.raises(ZeroDivisionError):
            await fail()
        async with held.savepoint():
            await add(held, "four")
    assert await names(db) == ["one", "four"]


@one_loop
async def test_a_violated_deferred_key_refuses_the_commit_and_nothing_is_kept(db: Database) -> None:
    await db.execute("CREATE TABLE late(id INTEGER REFERENCES item DEFERRABLE INITIALLY DEFERRED) STRICT")

    async def dangle() -> None:
        async with db.transaction() as held:
            await add(held, "lamp")
            await held.execute("INSERT INTO late VALUES (77)")

    with pytest.raises(ConstraintViolated):
        await dangle()
    assert await names(db) == []
    await add(db, "desk")


async def test_other_writes_wait_and_come_after_the_transaction(db: Database) -> None:
    order = []

    async def outside() -> None:
        await add(db, "outside")
        order.append("outside")

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group, db.transaction() as held:
            group.start_soon(outside)
            await add(held, "inside")
            order.append("inside")
    assert order == ["inside", "outside"]
    assert await names(db) == ["inside", "outside"]


async def test_a_holder_that_keeps_others_waiting_loses_the_transaction_and_is_told(
    tmp_path: Path, kind: str
) -> None:
    async def hold() -> None:
        async with shop.transaction() as held:
            await add(held, "held")
            await add(shop, "other")  # waits for the lease, then ends it
            await add(held, "late")

    async with opened(tmp_path, kind, transaction_lease_s=0.01) as shop:
        with pytest.raises(TransactionLost, match="others waited"):
            await hold()
        assert await names(shop) == ["other"]


@pytest.mark.parametrize("worker", ["thread", "process"])
async def test_a_statement_under_way_is_stopped_when_the_lease_is_over_and_others_wait(
    tmp_path: Path, worker: str
) -> None:
    async def hold() -> None:
        async with shop.transaction() as held:
            begun.set()
            await held.execute(ENDLESS)

    async def lose() -> None:
        with pytest.raises(TransactionLost):
            await hold()

    begun = anyio.Event()
    async with opened(tmp_path, worker, transaction_lease_s=0.01) as shop:
        async with anyio.create_task_group() as group:
            group.start_soon(lose)
            await begun.wait()
            await add(shop, "other")
        assert await names(shop) == ["other"]
        told = shop.statistics().writer
        assert (told.restarts_count, told.abandoned_count) == (0, 0)  # the worker lives on


@one_loop
async def test_where_nobody_waits_a_transaction_outlives_its_lease(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind, transaction_lease_s=1e-6) as shop:
        async with shop.transaction() as held:
            for number in range(5):
                await add(held, f"item {number}")
        assert len(await names(shop)) == 5


async def test_two_transactions_are_held_one_after_the_other(db: Database) -> None:
    async def count_up() -> None:
        for _ in range(5):
            async with db.transaction() as held:
                ((count,),) = await held.query("SELECT count(*) FROM item")
                await add(held, f"item {count}")

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(count_up)
    assert await names(db) == [f"item {number}" for number in range(20)]


async def test_a_write_that_waits_too_long_for_a_transaction_is_told_that_nothing_was_written(
    db: Database,
) -> None:
    async with db.transaction() as held:
        await add(held, "held")
        with pytest.raises(WriteTimedOut):
            await db.execute("INSERT INTO item(name) VALUES ('other')", timeout_s=0.01)
    assert await names(db) == ["held"]


async def test_writes_that_wait_for_a_transaction_are_bounded(tmp_path: Path) -> None:
    refused: list[float] = []

    async def outside() -> None:
        try:
            await add(shop, "outside")
        except StorageSaturated as error:
            refused.append(error.retry_after_s)

    async with opened(tmp_path, "process", max_queue_size=3, transaction_lease_s=PATIENT_S) as shop:
        async with anyio.create_task_group() as group, shop.transaction():
            for _ in range(4):
                group.start_soon(outside)
            await until(lambda: bool(refused))
        assert await names(shop) == ["outside"] * 3
    assert len(refused) == 1
    assert PATIENT_S / 2 < refused[0] <= PATIENT_S  # what is left of the lease


async def test_a_cancelled_transaction_is_rolled_back_and_the_next_write_goes_on(db: Database) -> None:
    async def hold() -> None:
        async with db.transaction() as held:
            await add(held, "lamp")
            scope.cancel()
            await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await hold()
    await add(db, "desk")
    assert await names(db) == ["desk"]


async def test_a_transaction_whose_caller_leaves_while_it_begins_stays_open_for_nobody(
    tmp_path: Path,
) -> None:
    async def hold() -> None:
        async with shop.transaction():
            pass

    async with opened(tmp_path, "process") as shop:
        other = apsw.Connection(str(tmp_path / "shop.db"))
        other.execute("BEGIN IMMEDIATE")  # the worker waits for it, where no interrupt is heard
        async with anyio.create_task_group() as group:
            group.start_soon(hold)
            await until(lambda: runs_something(shop))
            group.cancel_scope.cancel()
            other.execute("ROLLBACK")
        await until(lambda: not shop.statistics().writer.in_flight_count)
        other.execute("BEGIN IMMEDIATE")
        other.close()


def runs_something(db: Database) -> bool:
    """Return whether the writer has begun with a call."""
    worker = db._writers._dispatcher.slots[0].worker
    return worker is not None and worker.page[FIRST] > 0


@one_loop
async def test_a_transaction_may_change_the_schema_and_undo_that(db: Database) -> None:
    async def fail() -> None:
        async with db.transaction() as held:
            await held.execute("ALTER TABLE item ADD COLUMN price REAL")
            await held.execute("INSERT INTO item(name, price) VALUES ('lamp', 1.5)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert [column.name for column in (await db.tables())[0].columns] == ["id", "name"]


@one_loop
async def test_a_transaction_can_not_be_ended_by_a_statement_of_the_caller(db: Database) -> None:
    async with db.transaction() as held:
        await add(held, "lamp")
        with pytest.raises(NotAllowed):
            await held.execute("COMMIT")
        with pytest.raises(NotAllowed):
            await held.execute("RELEASE statement")
    assert await names(db) == ["lamp"]


# -- sent as a function -------------------------------------------------------------------------------------------


@one_loop
async def test_a_function_reads_decides_and_writes_in_one_call(db: Database) -> None:
    assert await db.write(functions.take_next_name, "item") == "item 0"
    assert await db.write(functions.take_next_name, "item") == "item 1"
    assert await names(db) == ["item 0", "item 1"]


async def test_functions_of_many_callers_share_commits_and_each_sees_those_before_it(db: Database) -> None:
    taken: list[str] = []

    async def take() -> None:
        taken.append(await db.write(functions.take_next_name, "item"))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(take)
    assert sorted(taken) == sorted(f"item {number}" for number in range(50))


async def test_a_function_that_raises_leaves_nothing_and_its_neighbours_are_kept(db: Database) -> None:
    failures: list[Exception] = []

    async def fail() -> None:
        try:
            await db.write(functions.add_and_fail, "gone")
        except StorageError as error:
            failures.append(error)

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(db.write, functions.add, f"item {number}")
        group.start_soon(fail)
    assert sorted(await names(db)) == [f"item {number}" for number in range(10)]
    (failure,) = failures
    assert "ZeroDivisionError" in str(failure)
    assert "secret" not in str(failure)


@one_loop
async def test_an_error_of_its_own_kind_crosses_to_the_caller_as_itself(db: Database) -> None:
    with pytest.raises(functions.OutOfStock, match="lamp"):
        await db.write(functions.refuse, "lamp")
    assert await names(db) == []


@one_loop
async def test_a_function_may_go_on_after_a_refused_statement(db: Database) -> None:
    await add(db, "lamp")
    assert await db.write(functions.add_unless_there, "lamp") is False
    assert await db.write(functions.add_unless_there, "desk") is True
    assert await names(db) == ["lamp", "desk"]


@one_loop
async def test_a_function_can_not_go_on_once_its_transaction_has_ended(db: Database) -> None:
    await add(db, "lamp")
    with pytest.raises(TransactionLost):
        await db.write(functions.roll_back_and_go_on, "lamp")
    assert await names(db) == ["lamp"]


@one_loop
async def test_a_function_changes_rows_only(db: Database) -> None:
    with pytest.raises(NotAllowed):
        await db.write(functions.drop_all)
    assert await names(db) == []


@one_loop
async def test_a_result_that_can_not_be_sent_undoes_the_function(db: Database) -> None:
    with pytest.raises(ParameterMismatch):
        await db.write(functions.add_and_return_a_connection, "lamp")
    assert await names(db) == []


@one_loop
async def test_a_function_that_a_worker_can_not_find_is_refused_before_anything_is_sent(db: Database) -> None:
    with pytest.raises(ValueError, match="importable module"):
        await db.write(lambda held: held)
    with pytest.raises(ValueError, match="importable module"):
        await db.write(partial(functions.add, name="lamp"))


@one_loop
async def test_a_function_that_writes_much_gets_a_transaction_of_its_own(db: Database) -> None:
    assert await db.write(functions.add_many, 60_000) == 60_000
    ((count,),) = await db.query("SELECT count(*) FROM item")
    assert count == 60_000


# -- sent as a batch ----------------------------------------------------------------------------------------------


@one_loop
async def test_a_later_statement_of_a_batch_uses_what_an_earlier_one_gave(db: Database) -> None:
    await db.execute_batch(
        [
            ("INSERT INTO item(name) VALUES (?)", ["lamp"]),
            ("INSERT INTO item(name) VALUES (?), (?) RETURNING id, name", ["desk", "chair"]),
            ("INSERT INTO part VALUES (?, ?)", [Earlier(0), "bulb"]),
            ("INSERT INTO part VALUES (:item, :name)", {"item": Earlier(1, "id", 1), "name": "leg"}),
        ]
    )
    joined = "SELECT item.name, part.name FROM part JOIN item ON item.id = item_id ORDER BY 1 DESC"
    assert await db.query(joined) == [("lamp", "bulb"), ("chair", "leg")]


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        (Earlier(1), "refers to statement 1"),
        (Earlier(-1), "refers to statement -1"),
        (Earlier(0, "id"), "returned no column"),
        (Earlier(0, "name", 1), "there is no row 1"),
        (Earlier(0, "name", -1), "there is no row -1"),
    ],
    ids=["itself", "none", "no column", "no row", "a row from the end"],
)
@one_loop
async def test_a_reference_to_what_is_not_there_is_refused_and_nothing_kept(
    reference: Earlier, complaint: str, db: Database
) -> None:
    with pytest.raises(ParameterMismatch, match=complaint):
        await db.execute_batch(
            [
                ("INSERT INTO item(name) VALUES ('lamp') RETURNING name", []),
                ("INSERT INTO item(name) VALUES (?)", [reference]),
            ]
        )
    assert await names(db) == []


@one_loop
async def test_the_rowid_of_a_statement_that_inserted_nothing_is_no_value(db: Database) -> None:
    await add(db, "lamp")
    with pytest.raises(ParameterMismatch, match="inserted no row"):
        await db.execute_batch(
            [
                ("UPDATE item SET name = 'desk'", []),
                ("INSERT INTO part VALUES (?, 'leg')", [Earlier(0)]),
            ]
        )
    assert await names(db) == ["lamp"]

"""What storage lives through, on every kind of pool: killed workers, overload, endless queries, readers that leave."""

from __future__ import annotations

import os
import signal
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import psutil
import pytest

from storage import (
    QueryTimedOut,
    StorageError,
    StorageSaturated,
    StorageSettings,
    StorageUnavailable,
    TransactionLost,
    WriteOutcomeUnknown,
)
from storage import open as open_storage
from tests.support.loops import one_loop
from tests.support.waiting import until

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from storage import Database

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


def opened(path: Path, kind: str, **numbers: Any) -> AbstractAsyncContextManager[Database]:
    if kind == "inline":
        settings = StorageSettings(use_workers=False, **numbers)
    else:
        settings = StorageSettings(kind=kind, **numbers)  # type: ignore[arg-type]  # one of two literals
    return open_storage(path / "shop.db", settings)


async def fill(db: Database, rows_count: int) -> None:
    await db.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT) STRICT")
    await db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO item SELECT i, 'item ' || i FROM n",
        [rows_count],
    )


async def outcome(into: list[Any], call: Any) -> None:
    """Append what `call()` returns or raises."""
    try:
        into.append(await call())
    except StorageError as error:
        into.append(error)


def child_pid(name: str) -> int:
    """Return the process of the worker `name`, which its command line ends with."""
    found = [
        child.pid
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and child.cmdline()[-1:] == [name]
    ]
    assert len(found) == 1
    pid: int = found[0]
    return pid


async def kill(name: str) -> None:
    os.kill(await anyio.to_thread.run_sync(child_pid, name), signal.SIGKILL)


async def test_a_reader_killed_under_load_costs_only_the_read_it_ran(tmp_path: Path) -> None:
    answers: list[Any] = []
    async with opened(tmp_path, "process", worker_count=2) as db:
        await fill(db, 1_000)

        async def read_on(first: int) -> None:
            for number in range(first, first + 60):
                await outcome(
                    answers, partial(db.query_one, "SELECT name FROM item WHERE id = ?", [number % 1_000 + 1])
                )

        async with anyio.create_task_group() as group:
            for first in range(50):
                group.start_soon(read_on, first)
            for name in ("readers-0", "readers-1"):
                answered = len(answers)
                await until(lambda least=answered + 500: len(answers) > least)  # type: ignore[misc]  # lambda default
                await kill(name)
        errors = [one for one in answers if isinstance(one, Exception)]
        assert len(answers) == 50 * 60
        assert len(errors) <= 2
        assert all(isinstance(one, StorageUnavailable) for one in errors)


async def test_a_writer_killed_under_load_says_which_writes_are_unknown_and_loses_no_other(
    tmp_path: Path,
) -> None:
    outcomes: dict[int, Any] = {}
    async with opened(tmp_path, "process") as db:
        await db.execute("CREATE TABLE entry(number INTEGER PRIMARY KEY) STRICT")

        async def write_on(first: int) -> None:
            for number in range(first, 2_500, 50):
                said: list[Any] = []
                await outcome(said, partial(db.execute, "INSERT INTO entry VALUES (?)", [number]))
                outcomes[number] = said[0]

        async with anyio.create_task_group() as group:
            for first in range(50):
                group.start_soon(write_on, first)
            await until(lambda: len(outcomes) > 1_000)
            await kill("writers-0")
        kept = {row[0] for row in await db.query("SELECT number FROM entry")}
    errors = {number: one for number, one in outcomes.items() if isinstance(one, Exception)}
    assert len(outcomes) == 2_500
    assert all(isinstance(one, WriteOutcomeUnknown) for one in errors.values())
    assert set(outcomes) - set(errors) - kept == set()


@one_loop
async def test_of_ten_thousand_reads_against_a_bound_of_100_each_is_answered_or_refused(
    tmp_path: Path, kind: str
) -> None:
    answers: list[Any] = []
    async with opened(tmp_path, kind, max_queue_size=100) as db:
        await fill(db, 10)
        async with anyio.create_task_group() as group:
            for number in range(10_000):
                read = partial(db.query_one, "SELECT id FROM item WHERE id = ?", [number % 10 + 1])
                group.start_soon(outcome, answers, read)
        refused = [one for one in answers if isinstance(one, Exception)]
        assert len(answers) == 10_000
        assert 0 < len(refused) < 10_000
        assert all(isinstance(one, StorageSaturated) and one.retry_after_s > 0 for one in refused)


@one_loop
async def test_a_thousand_reads_at_once_are_all_answered_at_default_settings(
    tmp_path: Path, kind: str
) -> None:
    answers: list[Any] = []
    async with opened(tmp_path, kind) as db:
        await fill(db, 1_000)
        async with anyio.create_task_group() as group:
            for number in range(1, 1_001):
                read = partial(db.query_one, "SELECT id FROM item WHERE id = ?", [number])
                group.start_soon(outcome, answers, read)
    assert sorted(answers) == [(number,) for number in range(1, 1_001)]


async def test_a_query_that_would_run_for_ever_ends_at_its_deadline_and_frees_its_worker(
    tmp_path: Path, kind: str
) -> None:
    async with opened(tmp_path, kind) as db:
        await fill(db, 10)
        for _ in range(3):
            with pytest.raises(QueryTimedOut):
                await db.query_one(ENDLESS, timeout_s=0.1)
            assert await db.query_one("SELECT count(*) FROM item", timeout_s=5.0) == (10,)


async def test_point_reads_go_on_while_endless_queries_fill_the_scan_lane(tmp_path: Path) -> None:
    async with opened(tmp_path, "process") as db:
        await fill(db, 300)
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(outcome, [], partial(db.query_one, ENDLESS, timeout_s=60.0))
            for number in range(1, 301):
                assert await db.query_one("SELECT id FROM item WHERE id = ?", [number], timeout_s=5.0) == (
                    number,
                )
            group.cancel_scope.cancel()


async def test_a_reader_that_leaves_in_the_middle_of_a_stream_leaves_nothing_open(
    tmp_path: Path, kind: str
) -> None:
    async with opened(tmp_path, kind) as db:
        await fill(db, 50_000)
        for _ in range(20):  # more than the streams that may be open at once
            async with aclosing(db.stream_json("SELECT * FROM item ORDER BY id")) as pieces:
                async for piece in pieces:
                    assert piece.startswith(b"[")
                    break
        whole = b"".join([piece async for piece in db.stream_json("SELECT id FROM item", format="ndjson")])
        assert whole.count(b"\n") == 50_000


@pytest.mark.parametrize("kind", ["thread", "process"])
async def test_a_cancelled_query_is_interrupted_and_its_worker_is_free(tmp_path: Path, kind: str) -> None:
    async with opened(tmp_path, kind) as db:
        for _ in range(4):  # more than there are workers
            with anyio.move_on_after(0.1):
                await db.query_one(ENDLESS, timeout_s=60.0)
        assert await db.query_one("SELECT 1", timeout_s=5.0) == (1,)


async def test_a_writer_that_dies_takes_its_transaction_with_it_and_says_so(tmp_path: Path) -> None:
    add = "INSERT INTO item(name) VALUES (?)"

    async def hold() -> None:
        async with db.transaction() as held:
            await held.execute(add, ["lamp"])
            await kill("writers-0")
            while True:
                await held.execute(add, ["desk"])

    with anyio.fail_after(20):
        async with opened(tmp_path, "process", worker_count=1) as db:
            await fill(db, 1)
            with pytest.raises(TransactionLost, match="worker is gone"):
                await hold()
            answers: list[Any] = []
            while not answers or isinstance(answers[-1], StorageUnavailable):
                await outcome(answers, partial(db.execute, add, ["chair"]))
            assert [name for (name,) in await db.query("SELECT name FROM item")] == ["item 1", "chair"]

"""Statements that nobody should send: each ends within its limit, says why, and leaves the worker as it was."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import storage
from storage import (
    NotAllowed,
    NotReadOnly,
    QueryTimedOut,
    QueryTooCostly,
    ResultTooLarge,
    SqlError,
    StorageSettings,
    WriteTimedOut,
)
from tests.integration.storage.hostile_statements import HOGS, LONG_STEPS, STATEMENTS, End, Hostile
from tests.support.reading import Reading, make_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from storage import Database

MIB = 1024 * 1024
ANSWER_BYTES = 4 * MIB
HEAP_BYTES = 64 * MIB
CHILD_BYTES = 96 * MIB
"""What a child may grow by: SQLite's heap, and the answer once more in Python."""
LIMIT_S = 0.03
"""Of what runs for ever, and is stopped whenever that is."""
LONG_S = 10.0

ERRORS: dict[End, tuple[type[Exception], ...]] = {
    "stopped": (QueryTimedOut,),
    "too large": (ResultTooLarge,),
    "too much": (QueryTimedOut, ResultTooLarge),
    "not SQL": (SqlError,),
    "not allowed": (NotAllowed,),
    "writes": (NotReadOnly,),
}
by_name = pytest.mark.parametrize("hostile", STATEMENTS, ids=lambda hostile: hostile.name)


@pytest.fixture(scope="module")
async def db(
    anyio_backend: Any,  # noqa: ARG001 - on each loop
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Database]:
    path = tmp_path_factory.mktemp("hostile") / "d.db"
    numbers = StorageSettings(worker_count=1, max_result_bytes=ANSWER_BYTES, worker_heap_bytes=HEAP_BYTES)
    async with storage.open(path, numbers) as opened:
        await opened.execute("CREATE TABLE t (a)")
        yield opened


def children() -> dict[int, int]:
    """Return the peak of resident bytes of each child of this process, by its id."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            found[int(child)] = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return found


@pytest.mark.parametrize("anyio_backend", ["asyncio"], scope="module")
async def test_a_child_outlives_all_hostile_statements_within_its_memory(db: Database) -> None:
    assert await db.query("SELECT 1") == [(1,)]
    before = await anyio.to_thread.run_sync(children)
    for hostile in (*STATEMENTS, *HOGS):
        for ask in (db.query_json, db.query):
            with anyio.fail_after(LONG_S):
                await _ends(hostile, ask, LIMIT_S if hostile.end in {"stopped", "too much"} else LONG_S)
                assert await db.query("SELECT count(*) FROM t") == [(0,)], hostile.name
    after = await anyio.to_thread.run_sync(children)

    assert after.keys() == before.keys(), "a child died of a statement"
    assert {
        child: grown for child, size in after.items() if (grown := size - before[child]) > CHILD_BYTES
    } == {}


async def _ends(hostile: Hostile, ask: Any, limit_s: float) -> None:
    if hostile.end == "answered":
        await ask(hostile.sql)
        return
    with pytest.raises(ERRORS[hostile.end]) as caught:
        await ask(hostile.sql, timeout_s=limit_s)
    assert str(caught.value), hostile.name
    assert "d.db" not in str(caught.value), "a path of the server"


REACHES = {"ATTACH", "ATTACH of memory", "DETACH", "VACUUM INTO", "VACUUM", "load_extension", "a tokenizer by its address", "into the library's log", "writable_schema", "an exclusive lock", "a checkpoint", "BEGIN", "COMMIT", "SAVEPOINT", "a temporary table", "a temporary view"}  # fmt: skip
"""What no caller may do on the way for writing either."""


@pytest.mark.parametrize("anyio_backend", ["asyncio"], scope="module")
async def test_a_writer_outlives_what_is_hostile_and_keeps_nothing_of_it(db: Database) -> None:
    for hostile in STATEMENTS:
        with anyio.fail_after(LONG_S):
            if hostile.end == "stopped":
                with pytest.raises(WriteTimedOut):
                    await db.execute(f"INSERT INTO t SELECT * FROM ({hostile.sql})", timeout_s=LIMIT_S)  # noqa: S608
            elif hostile.name in REACHES:
                with pytest.raises(NotAllowed):
                    await db.execute(hostile.sql)
            else:
                continue
            assert await db.query("SELECT count(*) FROM t") == [(0,)], hostile.name
    assert {hostile.name for hostile in STATEMENTS} >= REACHES


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("hostile", LONG_STEPS, ids=lambda hostile: hostile.name)
async def test_a_step_that_nothing_interrupts_costs_its_process_and_nobody_else(
    hostile: Hostile, tmp_path: Path
) -> None:
    async with storage.open(tmp_path / "d.db", StorageSettings(worker_count=1)) as db:
        await db.execute("CREATE TABLE t (a)")
        with anyio.fail_after(LONG_S):
            with pytest.raises(QueryTimedOut):
                await db.query_json(hostile.sql, timeout_s=LIMIT_S)
            assert await db.query("SELECT count(*) FROM t") == [(0,)]


@by_name
def test_a_stream_of_a_hostile_statement_ends_and_lets_go(hostile: Hostile, inline: Reading) -> None:
    try:
        _streamed(inline, hostile.sql, LIMIT_S if hostile.end in {"stopped", "too much"} else LONG_S)
    except (QueryTimedOut, ResultTooLarge, SqlError, NotAllowed, NotReadOnly) as error:
        told = error
    else:
        assert hostile.end not in {"not SQL", "not allowed", "writes"}  # a stream may be of any size
        return
    assert hostile.end != "answered"
    assert isinstance(told, (*ERRORS[hostile.end], QueryTimedOut, ResultTooLarge))
    assert inline.rows("SELECT 1") == [(1,)]


def _streamed(reading: Reading, sql: str, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    reading.call("stream_open", 1, reading.path, 0, sql, [], "json", deadline=deadline)
    try:
        for _ in range(3):
            if reading.call("stream_next", 1, deadline=deadline)[0]:
                return
    finally:
        reading.call("stream_close", 1)


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    path = make_database(tmp_path_factory.mktemp("inline") / "d.db", "CREATE TABLE t (a)")
    reading = Reading(path, worker_kind="inline", max_result_bytes=ANSWER_BYTES)
    yield reading
    reading.service.close()


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
THOUSAND = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n"


@pytest.mark.parametrize("method", ["json", "rows"])
def test_a_read_of_more_steps_than_allowed_is_refused_as_too_costly(tmp_path: Path, method: str) -> None:
    reading = Reading(make_database(tmp_path / "d.db"), max_query_steps=3_000_000)
    with pytest.raises(QueryTooCostly) as caught:
        getattr(reading, method)(ENDLESS)
    assert caught.value.limit_steps == 3_000_000
    for _ in range(5):  # each read has its own steps
        assert len(reading.rows(THOUSAND)) == 1_000
    reading.service.close()


def test_a_read_of_more_rows_than_allowed_is_refused(tmp_path: Path) -> None:
    reading = Reading(make_database(tmp_path / "d.db"), max_query_rows=999)
    with pytest.raises(ResultTooLarge, match="more than 999 rows"):
        reading.rows(THOUSAND)
    assert len(reading.rows(THOUSAND, max_count=999)) == 999
    assert len(reading.json(THOUSAND)) == 1_000, "JSON is bounded by its bytes"
    reading.service.close()


def test_a_long_text_with_an_infinite_value_is_answered(inline: Reading) -> None:
    """Its plan is too long to be kept, and the guard against infinities with it."""
    assert inline.json(f"SELECT {'9' * 400_000} AS a") == [{"a": None}]

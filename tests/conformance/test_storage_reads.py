"""What every kind of worker reads alike: one suite for inline, thread and process, on asyncio and on trio.

The pools are opened once for each kind and loop; each test has a database of its own.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

import storage
from storage import (
    Database,
    DatabaseCorrupt,
    DatabaseExists,
    DatabaseNotFound,
    Databases,
    InvalidDatabaseName,
    NotAllowed,
    NotReadOnly,
    ParameterMismatch,
    QueryTimedOut,
    ResultTooLarge,
    RowMismatch,
    SqlError,
    StorageClosed,
    StorageSaturated,
    StorageSettings,
    StorageUnavailable,
    TransactionLost,
)
from tests.support.loops import one_loop
from workers import Body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

LIMIT_S = 20.0
ENDLESS = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
NUMBERS = (
    "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i, 'row ' || i AS t FROM n"
)
WIDE = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 4000) SELECT i, hex(zeroblob(1000)) FROM n"

AWKWARD = [
    (1, "", b""),
    (2, "a\0b", b"\x00"),
    (3, '\u2028 "é" \\ \x7f 😀', b"\x13\x31"),
    (-(2**63), None, 2**63 - 1),
    (2**53 + 1, 0.1, 5e-324),
    (4, 1.7976931348623157e308, -1e22),
    (5, math.inf, -math.inf),
    (6, "9.0e+999", bytes(range(256))),
    (7, True, None),
]
AWKWARD_JSON = (
    '[[1,"",{"$base64":""}],[2,"a\\u0000b",{"$base64":"AA=="}],'
    '[3,"\u2028 \\"é\\" \\\\ \x7f 😀",{"$base64":"EzE="}],'
    "[-9223372036854775808,null,9223372036854775807],"
    "[9007199254740993,0.1,4.9406564584124654e-324],"
    "[4,1.7976931348623157e+308,-1.0e+22],[5,null,null],"
    '[6,"9.0e+999",{"$base64":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7'
    "PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWGh4iJiouM"
    "jY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq+wsbKztLW2t7i5uru8vb6/wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd"
    '3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7/P3+/w=="}],[7,1,null]]'
)

_names = (f"db-{number}" for number in count())


def settings_for(kind: str, **numbers: Any) -> StorageSettings:
    if kind == "inline":
        return StorageSettings(use_workers=False, **numbers)
    return StorageSettings(kind=kind, worker_count=2, **numbers)  # type: ignore[arg-type]


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
    folder = tmp_path_factory.mktemp("reads")
    async with storage.open_databases(folder, settings_for(kind, max_result_bytes=4 * 1024 * 1024)) as opened:
        assert opened.statistics().kind == kind
        yield opened


@pytest.fixture
async def db(databases: Databases) -> AsyncIterator[Database]:
    name = next(_names)
    yield await databases.create(name)
    await databases.drop(name)


@pytest.fixture
async def awkward(db: Database) -> Database:
    await db.execute("CREATE TABLE t(a, b, c)")
    await db.execute_batch([("INSERT INTO t VALUES(?, ?, ?)", row) for row in AWKWARD])
    return db


class Row(msgspec.Struct):
    i: int
    t: str


# -- answers -----------------------------------------------------------------------------------------------------------


@one_loop
async def test_rows_come_back_as_they_went(awkward: Database) -> None:
    assert await awkward.query("SELECT * FROM t ORDER BY rowid") == AWKWARD
    assert await awkward.query_one("SELECT * FROM t ORDER BY rowid") == AWKWARD[0]
    assert await awkward.query_one("SELECT * FROM t WHERE a = 99") is None


@one_loop
async def test_json_is_the_same_bytes_in_every_kind(awkward: Database) -> None:
    sql = "SELECT a, b, c FROM t ORDER BY rowid"
    assert (await awkward.query_json(sql, shape="arrays")).decode() == AWKWARD_JSON
    pieces = [piece async for piece in awkward.stream_json(sql)]
    assert b"".join(pieces) == await awkward.query_json(sql)


@one_loop
async def test_parameters_go_by_place_and_by_name(db: Database) -> None:
    assert await db.query("SELECT ?2, ?1", ["a", b"\x00"]) == [(b"\x00", "a")]
    assert await db.query("SELECT :x, $y", {"x": 2**63 - 1, "y": None}) == [(2**63 - 1, None)]


@one_loop
async def test_rows_become_the_type_asked_for(db: Database) -> None:
    assert await db.query(NUMBERS, [2], into=Row) == [Row(1, "row 1"), Row(2, "row 2")]
    assert await db.query_one(NUMBERS, [2], into=Row) == Row(1, "row 1")
    assert await db.query(NUMBERS, [1], into=dict) == [{"i": 1, "t": "row 1"}]
    with pytest.raises(RowMismatch):
        await db.query("SELECT 'x' AS i, 1 AS t", into=Row)


@pytest.mark.parametrize("number", [0, 1, 600, 10_000])
@one_loop
async def test_answers_of_any_size_are_whole_and_in_order(db: Database, number: int) -> None:
    sql = f"SELECT * FROM ({NUMBERS}) WHERE i <= ?1"  # noqa: S608 - a text of our own
    expected = [(each, f"row {each}") for each in range(1, number + 1)]
    assert await db.query(sql, [number]) == expected
    assert json.loads(await db.query_json(sql, [number], shape="arrays")) == [list(row) for row in expected]
    with await db.query_body(sql, [number], shape="arrays", envelope=True) as body:
        assert isinstance(body, Body)
        told = json.loads(await body.read())
    assert told == {"columns": ["i", "t"], "rows": [list(row) for row in expected]}
    lines = [piece async for piece in db.stream_json(sql, [number], format="ndjson")]
    assert b"".join(lines).count(b"\n") == number


async def test_many_reads_at_once_get_their_own_answers(db: Database) -> None:
    found: dict[int, Any] = {}

    async def ask(number: int) -> None:
        found[number] = await db.query_json("SELECT ? AS n", [number])

    async with anyio.create_task_group() as group:
        for number in range(500):
            group.start_soon(ask, number)
    assert found == {number: b'[{"n":%d}]' % number for number in range(500)}


@one_loop
async def test_what_was_acknowledged_is_read(db: Database) -> None:
    await db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")
    for number in range(1, 20):
        written = await db.execute("INSERT INTO t DEFAULT VALUES")
        assert written.last_insert_rowid == number
        assert await db.query("SELECT max(n) FROM t") == [(number,)]


@one_loop
async def test_tables_are_described(db: Database) -> None:
    await db.execute(
        "CREATE TABLE t(b TEXT, a INT NOT NULL DEFAULT 7, PRIMARY KEY(a, b)) STRICT, WITHOUT ROWID"
    )
    await db.execute("CREATE VIEW v AS SELECT a FROM t")
    table, view = await db.tables()
    assert (table.name, table.kind, table.primary_key, table.has_rowid, table.strict) == (
        "t",
        "table",
        ["a", "b"],
        False,
        True,
    )
    assert [(column.name, column.type, column.not_null, column.default) for column in table.columns] == [
        ("b", "TEXT", True, None),
        ("a", "INT", True, "7"),
    ]
    assert (view.name, view.kind, view.primary_key) == ("v", "view", [])


# -- refusals ----------------------------------------------------------------------------------------------------------


@one_loop
async def test_bad_text_is_refused_with_its_place(db: Database) -> None:
    for asked in (
        db.query("SELECT 1 FRM t x"),
        db.query_json("SELECT 1 FRM t x"),
        db.query_one("SELECT 1 FRM t x"),
    ):
        with pytest.raises(SqlError, match="syntax error") as caught:
            await asked
        assert caught.value.offset == 13


@one_loop
async def test_a_write_on_the_way_for_reading_is_refused(db: Database) -> None:
    await db.execute("CREATE TABLE t(a)")
    for asked in (
        db.query("INSERT INTO t VALUES(1)"),
        db.query_json("DELETE FROM t"),
        db.query_body("DROP TABLE t"),
    ):
        with pytest.raises(NotReadOnly):
            await asked
    with pytest.raises(NotReadOnly):
        await anext(db.stream_json("CREATE TABLE z(a)"))
    with pytest.raises(NotAllowed):
        await db.query("ATTACH 'x' AS x")


UNFIT: list[tuple[str, Any]] = [
    ("SELECT ?", [2**63]),
    ("SELECT ?", [2**64]),
    ("SELECT ?", [-(2**63) - 1]),
    ("SELECT ?", ["\ud800"]),
    ("SELECT ?", [object()]),
    ("SELECT ?", [[1]]),
    ("SELECT ?", []),
    ("SELECT ?", [1, 2]),
    ("SELECT :a", {"b": 1}),
    ("SELECT ?", {"a": 1}),
    ("SELECT ?", "a"),
]


@one_loop
async def test_parameters_that_do_not_fit_are_refused_alike(db: Database) -> None:
    for sql, params in UNFIT:
        for asked in (db.query(sql, params), db.query_json(sql, params), anext(db.stream_json(sql, params))):
            with pytest.raises(ParameterMismatch):
                await asked


@one_loop
async def test_a_text_that_no_message_can_carry_is_refused(db: Database) -> None:
    with pytest.raises((SqlError, ParameterMismatch)):
        await db.query("SELECT '\ud800'")


@one_loop
async def test_an_answer_beyond_its_bytes_is_refused(db: Database) -> None:
    asked: list[Awaitable[Any]] = [
        db.query(WIDE),
        db.query_json(WIDE),
        db.query("SELECT randomblob(900000000)"),
    ]
    for each in asked:
        with pytest.raises(ResultTooLarge):
            await each
    assert await db.query("SELECT 1") == [(1,)]


# -- stopping ----------------------------------------------------------------------------------------------------------


async def test_a_read_ends_at_its_deadline_and_the_next_is_answered(db: Database) -> None:
    for asked in (db.query(ENDLESS, timeout_s=0.1), db.query_json(ENDLESS, timeout_s=0.1)):
        with pytest.raises(QueryTimedOut):
            await asked
    assert await db.query("SELECT 1") == [(1,)]


async def test_a_stream_ends_at_its_deadline(db: Database) -> None:
    with pytest.raises(QueryTimedOut):
        await anext(db.stream_json(ENDLESS, timeout_s=0.1))
    assert await db.query("SELECT 1") == [(1,)]


async def test_a_cancelled_read_leaves_its_worker_free(databases: Databases, db: Database) -> None:
    if databases.statistics().kind == "inline":
        pytest.skip("on the loop nothing can be cancelled while SQL runs")
    for _ in range(3):
        with anyio.move_on_after(0.05) as scope:
            await db.query(ENDLESS)
        assert scope.cancelled_caught
    with anyio.fail_after(10):  # long before the deadline of a read that nobody stopped
        for _ in range(20):
            assert await db.query(NUMBERS, [1]) == [(1, "row 1")]
        while databases.statistics().reader.busy_count:
            await anyio.lowlevel.checkpoint()


async def test_a_slow_read_gives_way_to_quick_ones_and_is_answered_all_the_same(
    databases: Databases, db: Database
) -> None:
    if databases.statistics().kind == "inline":
        pytest.skip("on the loop nothing gives way")
    before = databases.statistics().reader.demoted_count
    found: list[Any] = []

    async def ask(number: int) -> None:
        sql = f"SELECT max(i) + ?2 FROM ({NUMBERS.replace('?', '?1')})"  # noqa: S608
        found.append((number, await db.query(sql, [400_000, number])))

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(ask, number)
    assert sorted(found) == [(number, [(400_000 + number,)]) for number in range(4)]
    assert databases.statistics().reader.demoted_count > before


async def test_a_stream_that_is_closed_early_lets_go_of_its_snapshot(
    db: Database,
) -> None:
    await db.execute("CREATE TABLE t(a)")
    await db.execute(f"INSERT INTO t SELECT i FROM ({NUMBERS})", [50_000])  # noqa: S608
    for _ in range(20):  # more than may be open at once
        async with aclosing(db.stream_json("SELECT a, zeroblob(100) AS z FROM t")) as pieces:
            assert (await anext(pieces)).startswith(b'[{"a":1,')
    assert await db.query("SELECT count(*) FROM t") == [(50_000,)]


async def test_a_stream_whose_reader_is_cancelled_lets_go_of_its_snapshot(db: Database) -> None:
    for _ in range(20):  # more than may be open at once
        with anyio.CancelScope() as scope:
            async with aclosing(db.stream_json(NUMBERS, [1_000_000])) as pieces:
                async for _piece in pieces:
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
    assert await db.query("SELECT 1") == [(1,)]


async def test_streams_at_once_get_their_own_answers(db: Database) -> None:
    found: dict[int, list[int]] = {}

    async def read(number: int) -> None:
        sql = f"SELECT i * ?2 AS i FROM ({NUMBERS.replace('?', '?1')})"  # noqa: S608
        pieces = [piece async for piece in db.stream_json(sql, [20_000, number])]
        assert len(pieces) > 1
        found[number] = [row["i"] for row in json.loads(b"".join(pieces))]

    async with anyio.create_task_group() as group:
        for number in range(1, 5):
            group.start_soon(read, number)
    assert found == {number: [number * each for each in range(1, 20_001)] for number in range(1, 5)}


@one_loop
async def test_more_streams_than_allowed_are_told_to_come_again(kind: str, tmp_path: Path) -> None:
    """With two readers one is kept free of streams, so the bound of the other is all there is."""
    async with storage.open(tmp_path / "few.db", settings_for(kind, max_open_streams=1)) as db:
        async with aclosing(db.stream_json(NUMBERS, [100_000])) as first:
            await anext(first)
            with pytest.raises(StorageSaturated):
                await anext(db.stream_json("SELECT 1"))
            assert await db.query("SELECT 1") == [(1,)]
        assert [piece async for piece in db.stream_json("SELECT 1 AS a")] == [b'[{"a":1}]']


# -- many databases ----------------------------------------------------------------------------------------------------


@one_loop
async def test_a_database_made_again_under_its_name_is_a_new_one(databases: Databases) -> None:
    name = next(_names)
    old = await databases.create(name)
    await old.execute("CREATE TABLE t(a)")
    assert await old.query("SELECT count(*) FROM t") == [(0,)]
    with pytest.raises(DatabaseExists):
        await databases.create(name)
    await databases.drop(name)
    assert name not in databases.names()
    for asked in (
        old.query("SELECT 1"),
        old.execute("CREATE TABLE z(a)"),
        anext(old.stream_json("SELECT 1")),
    ):
        with pytest.raises(DatabaseNotFound):
            await asked
    new = await databases.create(name)
    for _ in range(10):  # whichever reader gets it
        assert await new.query("SELECT count(*) FROM sqlite_schema") == [(0,)]
    await new.execute("CREATE TABLE u(a)")
    assert [table.name for table in await new.tables()] == ["u"]
    info = await databases.describe(name)
    assert (info.name, info.table_count) == (name, 1)
    assert info.size_bytes > 0
    await databases.drop(name)


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "a.b", "../a", "a" * 64, "é", "a b", "a\n"])
@one_loop
async def test_a_name_that_breaks_the_rule_is_refused(databases: Databases, name: str) -> None:
    with pytest.raises(InvalidDatabaseName):
        databases.get(name)
    with pytest.raises(InvalidDatabaseName):
        await databases.create(name)
    with pytest.raises(InvalidDatabaseName):
        await databases.drop(name)


@one_loop
async def test_a_name_that_nobody_made_is_not_found(databases: Databases) -> None:
    with pytest.raises(DatabaseNotFound):
        databases.get("never-made")
    with pytest.raises(DatabaseNotFound):
        await databases.describe("never-made")


@one_loop
async def test_more_databases_than_may_be_open_are_all_read(kind: str, tmp_path: Path) -> None:
    async with storage.open_databases(tmp_path, settings_for(kind, max_open_connections=2)) as databases:
        for number in range(6):
            made = await databases.create(f"d{number}")
            await made.execute("CREATE TABLE t(n)")
            await made.execute("INSERT INTO t VALUES(?)", [number])
        for number in [0, 5, 0, 1, 2, 3, 4, 5]:
            assert await databases.get(f"d{number}").query("SELECT n FROM t") == [(number,)]


@one_loop
async def test_databases_are_there_again_after_closing_and_leave_no_log(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    async with storage.open_databases(folder, settings_for(kind)) as databases:
        made = await databases.create("kept")
        await made.execute("CREATE TABLE t(a)")
        await made.execute("INSERT INTO t VALUES('here')")
        assert await made.query("SELECT a FROM t") == [("here",)]
    assert [path.name async for path in anyio.Path(folder).iterdir()] == ["kept.db"]
    with pytest.raises(StorageClosed):
        await made.query("SELECT 1")
    with pytest.raises(StorageClosed):
        await made.execute("DELETE FROM t")
    async with storage.open_databases(folder, settings_for(kind)) as databases:
        assert databases.names() == ["kept"]
        assert await databases.get("kept").query("SELECT a FROM t") == [("here",)]


@one_loop
async def test_a_file_that_is_no_database_is_told_when_it_is_opened(kind: str, tmp_path: Path) -> None:
    path = anyio.Path(tmp_path / "letter.txt")
    await path.write_text("Dear reader, this is a letter and no database. " * 100)
    with pytest.raises(DatabaseCorrupt):
        await storage.open(path, settings_for(kind)).__aenter__()
    assert (await path.read_text()).startswith("Dear reader")


async def test_where_no_worker_can_be_started_sql_runs_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise OSError("no more of these")

    monkeypatch.setattr("workers.backends.processes.ProcessBackend.start", refuse)
    monkeypatch.setattr("workers.backends.threads.ThreadBackend.start", refuse)
    async with storage.open_databases(tmp_path, settings_for("process")) as databases:
        made = await databases.create("fallen")
        await made.execute("CREATE TABLE t(a)")
        assert await made.query("SELECT count(*) FROM t") == [(0,)]
        facts = databases.statistics()
        assert (facts.kind, facts.worker_count) == ("inline", 0)
        assert "no more of these" in (facts.reader.fallback_reason or "")


async def test_no_writer_writes_to_a_file_that_another_one_dropped(kind: str, tmp_path: Path) -> None:
    async with storage.open_databases(tmp_path, replace(settings_for(kind), writer_count=2)) as databases:
        busy = await databases.create("busy")
        await busy.execute("CREATE TABLE t(a)")
        for _ in range(6):
            made = await databases.create("made")
            async with anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(busy.execute, "INSERT INTO t VALUES(1)")
                    group.start_soon(made.execute, f"CREATE TABLE t{number}(a)")
            assert [table.name for table in await made.tables()] == ["t0", "t1", "t2", "t3"]
            await databases.drop("made")


@pytest.mark.parametrize("kind", ["inline", "thread"], indirect=True)
@one_loop
async def test_a_library_that_corrupts_files_keeps_storage_from_opening(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.connection.OLDEST_SQLITE", (99, 0, 0))
    with pytest.raises(StorageUnavailable, match=r"99\.0\.0 or newer is needed"):
        await storage.open(tmp_path / "old.db", settings_for(kind)).__aenter__()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("folder.db", os.mkdir),
        ("pipe.db", os.mkfifo),
        ("device.db", lambda path: path.symlink_to("/dev/zero")),
    ],
)
@one_loop
async def test_a_path_that_is_no_files_is_refused_at_once(
    kind: str, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    await anyio.to_thread.run_sync(make, tmp_path / name)
    with pytest.raises(DatabaseNotFound, match="path of the database"), anyio.fail_after(LIMIT_S):
        await storage.open(tmp_path / name, settings_for(kind)).__aenter__()


@one_loop
async def test_a_drop_that_fails_leaves_the_database_where_it_is(kind: str, tmp_path: Path) -> None:
    async with storage.open_databases(tmp_path, settings_for(kind)) as databases:
        made = await databases.create("stays")
    with pytest.raises(StorageClosed):
        await databases.drop("stays")
    assert databases.names() == ["stays"]
    assert not made.is_dropped


@one_loop
async def test_a_file_that_was_removed_by_hand_can_be_dropped_once(kind: str, tmp_path: Path) -> None:
    async with storage.open_databases(tmp_path, settings_for(kind)) as databases:
        await databases.create("gone")
        await anyio.Path(tmp_path / "gone.db").unlink()
        for _ in range(2):
            with pytest.raises(DatabaseNotFound):
                await databases.drop("gone")
        assert databases.names() == []


@pytest.fixture
def shop_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with two migrations."""
    package = tmp_path / next(_names).replace("-", "_")  # a package is looked for once
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "0001_orders.sql").write_text("CREATE TABLE orders(id INTEGER PRIMARY KEY) STRICT;")
    (package / "0002_paid.sql").write_text("ALTER TABLE orders ADD COLUMN paid_at_ms INTEGER;")
    monkeypatch.syspath_prepend(tmp_path)
    return package.name


@one_loop
async def test_missing_migrations_are_applied_when_a_file_is_opened(
    kind: str, tmp_path: Path, shop_migrations: str
) -> None:
    for _ in range(2):
        async with storage.open(tmp_path / "m.db", settings_for(kind), migrations=shop_migrations) as db:
            tables = {table.name: [column.name for column in table.columns] for table in await db.tables()}
            assert tables["orders"] == ["id", "paid_at_ms"]
            assert await db.migrate(shop_migrations) == 0


@one_loop
async def test_a_snapshot_shows_one_state_whatever_is_written_meanwhile(db: Database) -> None:
    await db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY) STRICT")
    await db.execute("INSERT INTO t VALUES (1)")
    async with db.snapshot() as snapshot:
        await db.execute("INSERT INTO t VALUES (2)")
        await db.execute("CREATE TABLE later(a)")
        assert await snapshot.query("SELECT a FROM t") == [(1,)]
        assert await snapshot.query_one("SELECT count(*) FROM t") == (1,)
        assert await snapshot.query_json("SELECT a FROM t", shape="arrays") == b"[[1]]"
        with await snapshot.query_body("SELECT a FROM t", envelope=True) as body:
            assert await body.read() == b'{"columns":["a"],"rows":[{"a":1}]}'
        with pytest.raises(SqlError):
            await snapshot.query("SELECT * FROM later")
        assert await snapshot.query("SELECT a FROM t") == [(1,)]
    assert await db.query("SELECT a FROM t") == [(1,), (2,)]


@one_loop
async def test_a_snapshot_only_reads_and_can_not_be_ended_by_a_statement(db: Database) -> None:
    await db.execute("CREATE TABLE t(a)")
    async with db.snapshot() as snapshot:
        with pytest.raises(NotReadOnly):
            await snapshot.query("INSERT INTO t VALUES (1)")
        with pytest.raises(NotAllowed):
            await snapshot.query("COMMIT")
        assert await snapshot.query("SELECT * FROM t") == []


async def test_a_closed_snapshot_says_so(db: Database) -> None:
    snapshot = await db.open_snapshot()
    await snapshot.close()
    await snapshot.close()
    with pytest.raises(TransactionLost):
        await snapshot.query("SELECT 1")


@one_loop
async def test_a_snapshot_too_many_is_refused_and_one_that_is_closed_makes_room(db: Database) -> None:
    with anyio.fail_after(20):
        held = [await db.open_snapshot() for _ in range(8)]  # of two workers one is kept free of them
        with pytest.raises(StorageSaturated):
            await db.open_snapshot()
        await held[0].close()
        held.append(await db.open_snapshot())
        for snapshot in held:
            await snapshot.close()


async def test_a_query_on_a_snapshot_that_passes_its_deadline_leaves_the_snapshot_usable(
    db: Database,
) -> None:
    await db.execute("CREATE TABLE t(a)")
    async with db.snapshot() as snapshot:
        with pytest.raises(QueryTimedOut):
            await snapshot.query(ENDLESS, timeout_s=0.05)
        assert await snapshot.query("SELECT * FROM t") == []

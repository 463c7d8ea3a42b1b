"""Changes that are followed, alike in every kind of worker and on both loops.

The pools are opened once for each kind and loop; each test has a database of its own.
"""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import storage
from storage import (
    Change,
    ChangeFeed,
    Cursor,
    Database,
    DatabaseNotFound,
    Databases,
    HistoryLost,
    NotAllowed,
    SqlError,
    StorageSettings,
    TableNotFollowed,
    change_cursor,
    change_log,
    followed_tables,
)
from tests.support.loops import one_loop
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_names = (f"db-{number}" for number in count())
LIMIT_S = 20.0


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
    if kind == "inline":
        settings = StorageSettings(use_workers=False)
    else:
        settings = StorageSettings(kind=kind, worker_count=2)  # type: ignore[arg-type]
    async with storage.open_databases(tmp_path_factory.mktemp("changes"), settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing but a write wake who waits."""
    monkeypatch.setattr(change_log, "TICK_S", 1_000.0)


@pytest.fixture
async def db(databases: Databases) -> AsyncIterator[Database]:
    name = next(_names)
    database = await databases.create(name)
    await database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, extra)")
    await database.execute("CREATE TABLE other(id INTEGER PRIMARY KEY)")
    yield database
    if name in databases.names():
        await databases.drop(name)


def told(change: Change) -> tuple[Any, ...]:
    return (change.table, change.op, *change.key)


async def next_of(feed: ChangeFeed, wanted_count: int) -> list[tuple[Any, ...]]:
    """Return the next changes of a feed, waiting for them."""
    found: list[tuple[Any, ...]] = []
    with anyio.fail_after(LIMIT_S):
        while len(found) < wanted_count:
            found.append(told(await anext(feed)))
    return found


# -- what is told ------------------------------------------------------------------------------------------------------


async def test_each_change_is_told_with_its_key_in_the_order_of_commits(db: Database) -> None:
    since = await db.follow_tables(["t"])
    await db.execute_batch([("INSERT INTO t VALUES(1, 'a', 1)", ()), ("INSERT INTO t VALUES(2, 'b', 2)", ())])
    await db.execute("UPDATE t SET extra = 3 WHERE id = 2")
    await db.execute("UPDATE t SET id = 5 WHERE id = 1")
    await db.execute("DELETE FROM t")
    assert await next_of(db.changes(since=since), 7) == [
        ("t", "insert", 1),
        ("t", "insert", 2),
        ("t", "update", 2),
        ("t", "delete", 1),
        ("t", "insert", 5),
        ("t", "delete", 2),
        ("t", "delete", 5),
    ]


@one_loop
async def test_values_are_told_where_they_were_asked_for(db: Database) -> None:
    since = await db.follow_tables(["t"], values=True)
    await db.execute("INSERT INTO t VALUES(?, ?, ?)", [2**63 - 1, 'a"\0é', b"\x00\xff"])
    await db.execute("UPDATE t SET extra = ?", [-math.inf])
    await db.execute("DELETE FROM t")
    feed = db.changes(since=since)
    inserted, updated, deleted = [await anext(feed) for _ in range(3)]
    first = {"id": 2**63 - 1, "name": 'a"\0é', "extra": b"\x00\xff"}
    second = {**first, "extra": -math.inf}
    assert (inserted.old, inserted.new) == (None, first)
    assert (updated.old, updated.new) == (first, second)
    assert (deleted.old, deleted.new) == (second, None)


@one_loop
async def test_a_row_that_replace_removes_is_told_too(db: Database) -> None:
    since = await db.follow_tables(["t"])
    await db.execute("INSERT INTO t VALUES(1, 'a', 1), (2, 'b', 2)")
    await db.execute("INSERT OR REPLACE INTO t VALUES(3, 'a', 1)")
    await db.execute("UPDATE OR REPLACE t SET name = 'b' WHERE id = 3")
    await db.execute("INSERT OR IGNORE INTO t VALUES(4, 'b', 1)")
    assert await next_of(db.changes(since=since), 6) == [
        ("t", "insert", 1),
        ("t", "insert", 2),
        ("t", "delete", 1),
        ("t", "insert", 3),
        ("t", "delete", 2),
        ("t", "update", 3),
    ]


@one_loop
async def test_a_write_that_is_taken_back_leaves_no_hole_in_the_numbers(db: Database) -> None:
    since = await db.follow_tables(["t"])
    await db.execute("INSERT INTO t VALUES(1, 'a', 1)")
    with pytest.raises(storage.ConstraintViolated):
        await db.execute("INSERT INTO t VALUES(2, 'b', 1), (1, 'c', 1)")
    with suppress(ZeroDivisionError):
        async with db.transaction() as held:
            await held.execute("INSERT INTO t VALUES(7, 'x', 1)")
            raise ZeroDivisionError
    async with db.transaction() as held:
        await held.execute("INSERT INTO t VALUES(3, 'd', 1)")
    feed = db.changes(since=since)
    changes = [await anext(feed) for _ in range(2)]
    assert [change.seq for change in changes] == [since.seq + 1, since.seq + 2]
    assert [told(change) for change in changes] == [("t", "insert", 1), ("t", "insert", 3)]


@one_loop
async def test_only_the_tables_asked_for_are_told(db: Database) -> None:
    since = await db.follow_tables(["T", "other"])
    await db.execute("INSERT INTO other VALUES(1)")
    await db.execute("INSERT INTO t VALUES(1, 'a', 1)")
    await db.execute("INSERT INTO other VALUES(2)")
    feed = db.changes(["Other"], since)
    assert await next_of(feed, 2) == [("other", "insert", 1), ("other", "insert", 2)]
    assert feed.cursor == Cursor(since.epoch, since.seq + 3)


# -- following --------------------------------------------------------------------------------------------------------


async def test_a_feed_that_waits_is_woken_by_each_way_to_write(db: Database) -> None:
    await db.follow_tables(["other"])
    feed = db.changes()
    await feed.begin()
    found: list[tuple[Any, ...]] = []
    async with anyio.create_task_group() as group:

        async def follow() -> None:
            for _ in range(3):
                found.extend(await next_of(feed, 1))

        group.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        await db.execute("INSERT INTO other VALUES(1)")
        await until(lambda: len(found) == 1)
        await db.execute_batch([("INSERT INTO other VALUES(2)", ())])
        await until(lambda: len(found) == 2)
        async with db.transaction() as held:
            await held.execute("INSERT INTO other VALUES(3)")
    assert found == [("other", "insert", 1), ("other", "insert", 2), ("other", "insert", 3)]


async def test_a_snapshot_and_what_follows_it_make_the_whole(db: Database) -> None:
    await db.follow_tables(["other"])
    await db.execute("INSERT INTO other VALUES(1)")
    async with db.snapshot() as snapshot:
        await db.execute("INSERT INTO other VALUES(2)")
        cursor = await change_cursor(snapshot)
        rows = await snapshot.query("SELECT id FROM other")
    assert rows == [(1,)]
    assert await next_of(db.changes(since=cursor), 1) == [("other", "insert", 2)]


async def test_one_that_falls_behind_reads_on_from_the_log(db: Database) -> None:
    since = await db.follow_tables(["other"])
    slow, quick = db.changes(since=since), db.changes(since=since)
    numbers = (
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO other SELECT i FROM n"
    )
    await db.execute(numbers, [3_000])
    assert [key for _, _, key in await next_of(quick, 3_000)] == list(range(1, 3_001))
    assert [key for _, _, key in await next_of(slow, 3_000)] == list(range(1, 3_001))


@one_loop
async def test_one_behind_what_is_kept_is_told_where_to_begin_again(db: Database) -> None:
    since = await db.follow_tables(["other"])
    await db.keep_changes(max_count=100, max_age_s=3_600)
    for start in range(0, 1_000, 500):
        await db.execute_batch([("INSERT INTO other VALUES(?)", (start + place,)) for place in range(500)])
    feed = db.changes(since=since)
    with pytest.raises(HistoryLost) as lost:
        await anext(feed)
    again = Cursor.parse(lost.value.cursor)
    assert again == await change_cursor(db)
    await db.execute("INSERT INTO other VALUES(5000)")
    assert await next_of(db.changes(since=again), 1) == [("other", "insert", 5_000)]
    kept = await db.query_one("SELECT count(*) FROM _changes")
    assert kept is not None
    assert kept[0] < 100 + 256


@one_loop
async def test_what_is_too_old_goes(db: Database) -> None:
    await db.follow_tables(["other"])
    await db.keep_changes(max_count=100_000, max_age_s=0.001)
    for start in range(0, 1_500, 500):
        await db.execute_batch([("INSERT INTO other VALUES(?)", (start + place,)) for place in range(500)])
    kept = await db.query_one("SELECT count(*), max(seq) - min(seq) + 1 FROM _changes")
    assert kept is not None
    assert kept[0] == kept[1] < 1_000


@pytest.mark.parametrize("ahead", [(0, "f" * 16), (5, None)])
@one_loop
async def test_a_cursor_of_another_history_is_told_so(ahead: tuple[int, str | None], db: Database) -> None:
    end = await db.follow_tables(["other"])
    foreign = Cursor(ahead[1] or end.epoch, end.seq + ahead[0])
    with pytest.raises(HistoryLost) as lost:
        await db.changes(since=foreign).begin()
    assert lost.value.cursor == str(end)


async def test_a_restored_database_has_another_history(
    databases: Databases, db: Database, tmp_path: Path
) -> None:
    await db.follow_tables(["other"])
    await db.execute("INSERT INTO other VALUES(1)")
    await db.back_up(tmp_path / "copy.db")
    cursor = await change_cursor(db)
    async with anyio.create_task_group() as group:

        async def follow() -> None:
            with pytest.raises(DatabaseNotFound), anyio.fail_after(LIMIT_S):
                await anext(db.changes(since=cursor))

        group.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        restored = await databases.restore(db.name, tmp_path / "copy.db")
    with pytest.raises(HistoryLost):
        await restored.changes(since=cursor).begin()
    await restored.execute("INSERT INTO other VALUES(2)")
    assert (await change_cursor(restored)).seq == cursor.seq + 1


# -- switching on and off ---------------------------------------------------------------------------------------------


@one_loop
async def test_following_is_switched_off_and_on_and_the_log_tells(db: Database) -> None:
    since = await db.follow_tables(["t", "other"])
    assert await followed_tables(db) == ["other", "t"]
    await db.unfollow_tables(["t"])
    await db.execute("INSERT INTO t VALUES(1, 'a', 1)")
    assert await db.follow_tables(["t"]) == await db.follow_tables(["t"])
    assert await next_of(db.changes(since=since), 2) == [("t", "unfollow"), ("t", "follow")]


@one_loop
async def test_what_is_not_followed_is_refused(db: Database) -> None:
    assert await followed_tables(db) == []
    for act in (db.changes().begin, lambda: db.unfollow_tables(["t"]), lambda: change_cursor(db)):
        with pytest.raises(TableNotFollowed):
            await act()
    with pytest.raises(TableNotFollowed):
        await db.keep_changes(max_count=1, max_age_s=1)
    await db.follow_tables(["t"])
    with pytest.raises(TableNotFollowed, match="other"):
        await db.changes(["t", "other"]).begin()
    with pytest.raises(TableNotFollowed, match="other"):
        await db.unfollow_tables(["other"])


@one_loop
async def test_what_cannot_be_followed_is_refused(db: Database) -> None:
    await db.execute("CREATE VIEW v AS SELECT 1")
    await db.execute("CREATE UNIQUE INDEX by_expression ON other(abs(id))")
    await db.execute("CREATE TABLE hidden(rowid, oid, _rowid_)")
    wide = ", ".join(f"c{number}" for number in range(401))
    await db.execute(f"CREATE TABLE wide({wide})")
    for table in ("missing", "v", "sqlite_schema", "other", "hidden"):
        with pytest.raises(TableNotFollowed):
            await db.follow_tables([table])
    with pytest.raises(TableNotFollowed, match="values"):
        await db.follow_tables(["wide"], values=True)
    assert await followed_tables(db) == []
    await db.follow_tables(["wide"])
    with pytest.raises(TableNotFollowed):
        await db.follow_tables(["_changes"])


@one_loop
async def test_nobody_but_the_triggers_writes_the_log(db: Database) -> None:
    await db.follow_tables(["t"])
    for sql in (
        "DELETE FROM _changes",
        "UPDATE _changes_log SET epoch = 'x'",
        "INSERT INTO _changes_followed VALUES('x', 1)",
        "DROP TABLE _changes",
        "DROP TRIGGER _changes_insert_t",
        "CREATE TABLE _changes_of_mine(x)",
        "CREATE TRIGGER _changes_x AFTER INSERT ON t BEGIN SELECT 1; END",
        "ALTER TABLE _changes RENAME TO mine",
    ):
        with pytest.raises(NotAllowed):
            await db.execute(sql)
    await db.execute("CREATE TRIGGER forge AFTER INSERT ON other BEGIN DELETE FROM _changes; END")
    with pytest.raises(NotAllowed):
        await db.execute("INSERT INTO other VALUES(1)")


@one_loop
async def test_numbers_go_on_whatever_is_done_to_the_counters_of_sqlite(db: Database) -> None:
    await db.execute("CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT)")
    await db.execute("INSERT INTO counted DEFAULT VALUES")
    since = await db.follow_tables(["other"])
    await db.execute("INSERT INTO other VALUES(1)")
    await db.execute("UPDATE sqlite_sequence SET name = '_changes', seq = 1000")
    await db.execute("INSERT INTO other VALUES(2)")
    await db.execute("DELETE FROM sqlite_sequence")
    await db.execute("INSERT INTO other VALUES(3)")
    assert await next_of(db.changes(since=since), 3) == [("other", "insert", number) for number in (1, 2, 3)]
    assert await change_cursor(db) == Cursor(since.epoch, since.seq + 3)


@one_loop
async def test_a_followed_table_may_be_altered_and_goes_on_being_followed(db: Database) -> None:
    since = await db.follow_tables(["t"], values=True)
    await db.execute("ALTER TABLE t ADD COLUMN more")
    await db.execute("ALTER TABLE t RENAME COLUMN extra TO renamed")
    await db.execute("INSERT INTO t VALUES(1, 'a', 2, 3)")
    await db.execute("CREATE UNIQUE INDEX by_more ON t(more)")
    await db.execute("INSERT OR REPLACE INTO t VALUES(2, 'b', 2, 3)")
    feed = db.changes(since=since)
    first = await anext(feed)
    assert first.new == {"id": 1, "name": "a", "renamed": 2, "more": 3}
    assert await next_of(feed, 2) == [("t", "delete", 1), ("t", "insert", 2)]


@one_loop
async def test_what_a_trigger_of_a_caller_changes_comes_after_what_it_answers(db: Database) -> None:
    since = await db.follow_tables(["t"], values=True)
    await db.execute("CREATE TRIGGER stamp AFTER INSERT ON t BEGIN UPDATE t SET extra = 'stamped'; END")
    await db.execute("INSERT INTO t VALUES(1, 'a', NULL)")
    feed = db.changes(since=since)
    inserted, updated = await anext(feed), await anext(feed)
    assert (inserted.op, updated.op) == ("insert", "update")
    assert updated.new == {"id": 1, "name": "a", "extra": "stamped"}


@pytest.mark.parametrize(
    "sql", ["DROP TABLE t", "ALTER TABLE t RENAME TO u", "CREATE UNIQUE INDEX i ON t(abs(extra))"]
)
@one_loop
async def test_what_would_break_the_log_is_refused_until_following_ends(sql: str, db: Database) -> None:
    await db.follow_tables(["t"])
    for _ in range(2):
        with pytest.raises(NotAllowed, match="stop following"):
            await db.execute(sql)
    await db.execute("INSERT INTO t VALUES(1, 'a', 1)")
    await db.unfollow_tables(["t"])
    await db.execute(sql)


@one_loop
async def test_a_column_with_logged_values_is_not_dropped(db: Database) -> None:
    await db.follow_tables(["t"], values=True)
    with pytest.raises(SqlError, match="_changes"):
        await db.execute("ALTER TABLE t DROP COLUMN extra")


@one_loop
async def test_a_table_without_a_rowid_and_one_without_a_key_are_followed(db: Database) -> None:
    await db.execute("CREATE TABLE pairs(a TEXT, b INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID")
    await db.execute('CREATE TABLE "od\'d ""one"(x)')
    since = await db.follow_tables(["pairs", "od'd \"one"])
    await db.execute("INSERT INTO pairs VALUES('x', 1)")
    await db.execute('INSERT INTO "od\'d ""one" VALUES(1)')
    await db.execute("DELETE FROM pairs")
    assert await next_of(db.changes(since=since), 3) == [
        ("pairs", "insert", 1, "x"),
        ("od'd \"one", "insert", 1),
        ("pairs", "delete", 1, "x"),
    ]


def test_a_cursor_is_read_as_it_is_written() -> None:
    cursor = Cursor("0123456789abcdef", 42)
    assert Cursor.parse(str(cursor)) == cursor
    for text in ("", "42", "0123456789abcdef-", "0123456789abcdef-042", "x" * 16 + "-1"):
        with pytest.raises(ValueError, match="no cursor"):
            Cursor.parse(text)

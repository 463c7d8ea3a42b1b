"""The log of changes against the tables themselves, and feeds against the log, under anything that is written."""

# ruff: noqa: S608 - the names of our own tables
from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import apsw
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from storage import change_log
from storage.change_log import ChangeLog
from storage.changes import ChangeFeed, Cursor
from storage.errors import HistoryLost, ResultTooLarge, StorageError
from storage.sqlite.change_triggers import LOG
from tests.support.writing import WriterBench

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from storage import Queries

TABLES = ("item", "pair", "part", "bare")
SCHEMA = (
    """
    CREATE TABLE item (
        id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, place, kind INTEGER, much AS (kind * 1.5)
    )
    """,
    "CREATE UNIQUE INDEX by_place ON item (place) WHERE kind = 1",
    "CREATE TABLE pair (a TEXT COLLATE NOCASE, b, c UNIQUE, PRIMARY KEY (a, b)) WITHOUT ROWID",
    """
    CREATE TABLE part (
        id INTEGER PRIMARY KEY, item INTEGER REFERENCES item (id) ON UPDATE CASCADE ON DELETE CASCADE
    )
    """,
    "CREATE TABLE bare (x)",
    "CREATE TRIGGER counts AFTER UPDATE OF place ON item BEGIN UPDATE item SET kind = new.kind + 1 WHERE id = new.id; END",
    "CREATE TRIGGER adds AFTER INSERT ON bare WHEN new.x = 'a' BEGIN INSERT OR REPLACE INTO item (name) VALUES ('a'); END",
)
STATEMENTS = (
    "INSERT INTO item (name, place, kind) VALUES (?1, ?2, ?3)",
    "INSERT OR REPLACE INTO item (name, place, kind) VALUES (?1, ?2, ?3)",
    "INSERT OR REPLACE INTO item (id, name, place, kind) VALUES (?3, ?1, ?2, 1)",
    "INSERT OR IGNORE INTO item (name, place, kind) VALUES (?1, ?2, ?3), (?2, ?1, 1)",
    "INSERT OR FAIL INTO item (name, place, kind) VALUES (?2, ?1, 2), (?1, ?2, ?3)",
    "INSERT INTO item (name) VALUES (?1) ON CONFLICT DO UPDATE SET place = ?2",
    "UPDATE item SET place = ?1, kind = ?3",
    "UPDATE OR REPLACE item SET name = ?1 WHERE id = ?3",
    "UPDATE OR REPLACE item SET id = id + ?3, kind = 1",
    "UPDATE OR IGNORE item SET name = ?1",
    "DELETE FROM item WHERE name = ?1",
    "DELETE FROM item",
    "INSERT OR REPLACE INTO pair VALUES (?1, ?3, ?2)",
    "INSERT OR IGNORE INTO pair VALUES (?2, ?3, ?1)",
    "UPDATE OR REPLACE pair SET a = ?1, b = ?3 WHERE c = ?2",
    "UPDATE pair SET a = upper(a)",
    "DELETE FROM pair WHERE a = ?1",
    "INSERT INTO part (item) SELECT id FROM item",
    "UPDATE part SET id = -id",
    "INSERT INTO bare VALUES (?1), (?2)",
    "UPDATE bare SET x = ?2 WHERE x = ?1",
    "DELETE FROM bare",
)
values = st.sampled_from(["a", "A", "b", None, 1, 1.0, b"a", 2.5])
statement = st.tuples(st.sampled_from(STATEMENTS), st.tuples(values, values, st.integers(-1, 3)))
batch = st.lists(statement, min_size=1, max_size=3)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WriterBench]:
    bench = WriterBench(tmp_path_factory.mktemp("log"))
    bench.schema(*SCHEMA)
    bench.done(bench.call("follow", list(TABLES), True))
    yield bench
    bench.service.close()


def replayed(rows: Sequence[tuple[Any, ...]]) -> dict[str, dict[str, Any]]:
    """Return the tables as somebody has them who heard nothing but the log."""
    tables: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    for _, _, table, op, key, old, new in rows:
        if op != "insert":
            assert tables[table].pop(key) == old
        if op != "delete":
            tables[table][key] = new
    return tables


def stored(bench: WriterBench) -> dict[str, dict[str, Any]]:
    """Return the tables as they are, written by the very triggers that log an INSERT."""
    bench.own("BEGIN")
    before = bench.own("SELECT coalesce(max(seq), 0) FROM _changes")
    for table, columns in (("item", "id, name, place, kind"), ("pair", "*"), ("part", "*")):
        bench.own(f"CREATE TEMP TABLE old_{table} AS SELECT {columns} FROM {table}")
    bench.own("PRAGMA defer_foreign_keys = 1")
    bench.own("CREATE TEMP TABLE old_bare AS SELECT rowid AS row, x FROM bare")
    bench.own("DROP TRIGGER adds")
    for table in ("part", "item", "pair", "bare"):
        bench.own(f"DELETE FROM {table}")
    bench.own("INSERT INTO item (id, name, place, kind) SELECT * FROM old_item")
    bench.own("INSERT INTO pair SELECT * FROM old_pair")
    bench.own("INSERT INTO part SELECT * FROM old_part")
    bench.own("INSERT INTO bare (rowid, x) SELECT * FROM old_bare")
    found: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    rows = bench.service._files.get(bench.path()).run_own(
        "SELECT * FROM _changes WHERE op = 'insert' AND seq > ? ORDER BY seq", (before,)
    )
    for _, _, table, _, key, _, new in rows:
        found[table][key] = new
    bench.own("ROLLBACK")
    return found


def test_the_log_is_all_one_needs_to_know_the_tables(bench: WriterBench) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(st.lists(batch, min_size=1, max_size=6))
    @example([[("INSERT OR REPLACE INTO pair VALUES (?1, ?3, ?2)", ("a", 1, 1))],
              [("INSERT OR REPLACE INTO pair VALUES (?1, ?3, ?2)", ("A", 2, 1))]])  # fmt: skip
    def check(batches: list[list[tuple[str, tuple[Any, ...]]]]) -> None:
        bench.done(bench.write_all(*(f"DELETE FROM {table}" for table in TABLES)))
        start = bench.rows("SELECT coalesce(max(seq), 0) FROM _changes")[0]
        outcomes = bench.run(*(bench.write_all(*each) for each in batches))
        assert all(isinstance(each, (list, StorageError)) for each in outcomes)
        rows = bench.rows("SELECT * FROM _changes WHERE seq > ? ORDER BY seq", (start,))
        assert [row[0] for row in rows] == list(range(start + 1, start + 1 + len(rows)))
        assert replayed(rows) == stored(bench)

    check()


# -- feeds ------------------------------------------------------------------------------------------------------------


class Source:
    """A log that is read on the spot; `too_large` says from how many changes on an answer is too large."""

    def __init__(self, too_large: int = 1_000_000) -> None:
        self.connection = apsw.Connection(":memory:")
        for sql in LOG:
            self.connection.execute(sql)
        self.connection.execute(
            "INSERT INTO _changes_log VALUES (1, '0123456789abcdef', 1000000, 1000000000)"
        )
        self.connection.execute("INSERT INTO _changes_followed VALUES ('a', 0), ('b', 0)")
        self.too_large = too_large
        self.reads_count = 0

    def add(self, tables: str) -> None:
        for table in tables:
            self.connection.execute(
                "INSERT INTO _changes (at_ms, \"table\", op, key) VALUES (1, ?, 'insert', ?)",
                (table, json.dumps(["x" * 100])),
            )

    async def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.reads_count += "log LEFT JOIN" in sql
        rows: list[tuple[Any, ...]] = self.connection.execute(sql, params).fetchall()
        if "log LEFT JOIN" in sql and len(rows) > self.too_large:
            raise ResultTooLarge("too much")
        return rows


def change_log_of(source: Source) -> ChangeLog:
    return ChangeLog(cast("Queries", source))


@contextmanager
def pages_of(count: int, kept_count: int, size_bytes: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(change_log, "PAGE_COUNT", count)
        patch.setattr(change_log, "PAGE_BYTES", size_bytes)
        patch.setattr(change_log, "KEPT_COUNT", kept_count)
        yield


def cursor(seq: int) -> Cursor:
    return Cursor("0123456789abcdef", seq)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    written=st.lists(st.text("ab", min_size=0, max_size=12), min_size=1, max_size=5),
    readers=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from([None, ("a",), ("A", "b")])), min_size=1, max_size=4
    ),
    turns=st.lists(st.integers(0, 3), max_size=20),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 8), st.integers(1, 600), st.integers(1, 20)),
)
def test_following_from_any_cursor_gives_just_the_rows_of_the_log(
    written: list[str],
    readers: list[tuple[int, tuple[str, ...] | None]],
    turns: list[int],
    sizes: tuple[int, int, int, int],
) -> None:
    async def check() -> None:
        source = Source(too_large=sizes[3])
        log = change_log_of(source)
        source.add(written[0])
        count = len(written[0])
        feeds = [ChangeFeed(log, tables, cursor(min(seq, count))) for seq, tables in readers]
        heard: list[list[int]] = [[] for _ in feeds]
        for tables in written[1:]:
            for turn in turns:
                place = turn % len(feeds)
                heard[place] += [change.seq for change in await feeds[place].page(0)]
            source.add(tables)
            log.stir()
        end = len("".join(written))
        for place, feed in enumerate(feeds):
            for _ in range(end + 1):  # a page has at least one change, until there are no more
                heard[place] += [change.seq for change in await feed.page(0)]
            assert feed.cursor == cursor(end)
            assert await feed.page(0) == []
        for (seq, asked), seqs in zip(readers, heard, strict=True):
            wanted = {table.lower() for table in asked or ("a", "b")}
            tables_by_seq = enumerate("".join(written), start=1)
            assert seqs == [at for at, table in tables_by_seq if at > min(seq, count) and table in wanted]
        assert len(log._kept) <= sizes[1]

    with pages_of(sizes[0], sizes[1], sizes[2]):
        anyio.run(check)


async def test_many_who_wait_cost_one_read() -> None:
    source = Source()
    log = change_log_of(source)
    feeds = [ChangeFeed(log, None, None) for _ in range(50)]
    for feed in feeds:
        await feed.begin()
    reads_count = source.reads_count
    source.add("ab")
    log.stir()
    for feed in feeds:
        assert len(await feed.page(0)) == 2
        assert await feed.page(0) == []
    assert source.reads_count == reads_count + 1


async def test_a_feed_that_waits_notices_what_another_process_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "TICK_S", 0.01)
    source = Source()
    feeds = [ChangeFeed(change_log_of(source), None, None) for _ in range(2)]
    for feed in feeds:
        await feed.begin()
    source.add("a")
    with anyio.fail_after(20):
        assert [(await anext(feed)).table for feed in feeds] == ["a", "a"]


async def test_a_feed_whose_next_change_is_gone_is_told_while_it_runs() -> None:
    source = Source()
    source.add("ab")
    log = change_log_of(source)
    feed = ChangeFeed(log, None, cursor(0))
    assert (await anext(feed)).seq == 1
    assert feed.cursor == cursor(1)
    assert (await anext(feed)).seq == 2
    source.add("aaa")
    source.connection.execute("DELETE FROM _changes WHERE seq < 5")
    log.stir()
    with pytest.raises(HistoryLost, match="5 to 5") as lost:
        await feed.page(0)
    assert lost.value.cursor == str(cursor(5))

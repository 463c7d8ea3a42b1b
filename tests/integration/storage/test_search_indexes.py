"""Search indexes follow their tables, whatever happens to the rows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import storage
from storage import StorageSettings, TableNotSearchable, drop_search_index, make_search_index, search_table
from tests.support.loops import ASYNCIO, on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage import Database

open_database = storage.open
anyio_backend = on(ASYNCIO)  # an index is SQL: no loop is asked for it
TABLE = 'a "b"\'c'
NAME = TABLE.replace('"', '""')


@pytest.fixture(params=["off"])
async def db(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A database without workers, which carry texts of SQL and rows; one test asks in both ways."""
    numbers = StorageSettings(worker_count=1, use_workers=request.param == "process")
    with anyio.fail_after(30):
        async with open_database(tmp_path / "d.db", numbers) as opened:
            await opened.execute(
                f'CREATE TABLE "{NAME}" (id INTEGER PRIMARY KEY, "the title", body, n INTEGER)'
            )
            yield opened


async def insert(db: Database, key: int, title: Any, body: Any = "") -> None:
    await db.execute(f'INSERT OR REPLACE INTO "{NAME}" VALUES (?, ?, ?, 0)', [key, title, body])  # noqa: S608 - a constant


async def found(db: Database, search: str) -> list[int]:
    """Return the keys of the rows that match, and check the index against the table."""
    index = search_table(TABLE).replace('"', '""')
    await db.execute(f'INSERT INTO "{index}" ("{index}", rank) VALUES (\'integrity-check\', 1)')  # noqa: S608
    rows = await db.query(f'SELECT rowid FROM "{index}" WHERE "{index}" MATCH ? ORDER BY rowid', [search])  # noqa: S608
    return [key for (key,) in rows]


@pytest.mark.parametrize("db", ["process", "off"], indirect=True)
async def test_an_index_has_the_rows_from_before_and_follows_the_changes(db: Database) -> None:
    await insert(db, 1, "Crème brûlée", "with sugar")
    await make_search_index(db, TABLE, ["the title", "body"])
    await insert(db, 2, "Sugar", None)
    assert await found(db, "creme") == [1]
    assert await found(db, "sugar") == [1, 2]
    assert await found(db, '"the title" : sugar') == [2]
    await db.execute(f'UPDATE "{NAME}" SET body = ?, n = 1', ["salt"])  # noqa: S608
    assert await found(db, "salt") == [1, 2]
    await db.execute(f'UPDATE "{NAME}" SET id = 7 WHERE id = 2')  # noqa: S608
    await insert(db, 1, "Tea")
    assert await found(db, "sugar OR tea OR creme") == [1, 7]
    await db.execute(f'DELETE FROM "{NAME}"')  # noqa: S608
    assert await found(db, "sugar OR tea") == []


async def test_a_row_that_makes_way_for_another_is_no_answer_and_its_key_can_be_used_again(
    db: Database,
) -> None:
    await db.execute("CREATE TABLE u (id INTEGER PRIMARY KEY, code UNIQUE, body)")
    await make_search_index(db, "u", ["body"])
    for key, body in ((1, "red"), (2, "green"), (1, "blue"), (2, "white")):
        await db.execute("INSERT OR REPLACE INTO u VALUES (?, 'x', ?)", [key, body])
    search = "SELECT u.* FROM u JOIN _search_of_u ON u.id = _search_of_u.rowid WHERE _search_of_u MATCH ?"
    assert [await db.query(search, [text]) for text in ("red", "green", "blue", "white")] == [
        [],
        [],
        [],
        [(2, "x", "white")],
    ]


async def test_an_index_is_told_with_its_table_and_hidden_among_the_tables(db: Database) -> None:
    await make_search_index(db, TABLE, ["body"])
    (info,) = await db.tables()
    assert (info.name, info.searched_columns) == (TABLE, ("body",))
    await make_search_index(db, TABLE, ["the title", "body"])
    assert [info.searched_columns for info in await db.tables()] == [("the title", "body")]
    for _ in range(2):
        await drop_search_index(db, TABLE)
        assert [info.searched_columns for info in await db.tables()] == [()]
    await insert(db, 1, "still writes")
    assert await db.query("SELECT count(*) FROM sqlite_schema") == [(1,)]


async def test_parts_of_words_and_stems_are_found_where_asked_for(db: Database) -> None:
    await insert(db, 1, "Quarterly reports", "日本語の文章")
    await make_search_index(db, TABLE, ["the title", "body"], tokenizer="trigrams")
    assert [await found(db, text) for text in ("arter", "日本語", "quarterlies")] == [[1], [1], []]
    await make_search_index(db, TABLE, ["the title"], tokenizer="stems")
    assert [await found(db, text) for text in ("arter", "reporting")] == [[], [1]]


async def test_what_can_not_be_searched_is_refused_and_left(db: Database) -> None:
    for sql in (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a)",
        "CREATE TABLE k (a)",
        "CREATE TABLE w (a TEXT PRIMARY KEY) WITHOUT ROWID",
        "CREATE VIEW v AS SELECT * FROM k",
    ):
        await db.execute(sql)
    before = await db.query("SELECT * FROM sqlite_schema")
    refused: list[tuple[str, list[str]]] = []
    cases = [
        ("none", ["a"]),
        ("v", ["a"]),
        ("k", ["a"]),
        ("w", ["a"]),
        ("t", ["b"]),
        ("t", []),
        ("t", ["a", "a"]),
    ]
    for table, columns in cases:
        with suppress(TableNotSearchable):
            await make_search_index(db, table, columns)
            continue
        refused.append((table, columns))
    assert refused == cases
    assert await db.query("SELECT * FROM sqlite_schema") == before


async def test_a_table_made_again_under_its_name_is_not_searched_by_what_the_old_one_left(
    db: Database,
) -> None:
    await make_search_index(db, TABLE, ["body"])
    await insert(db, 1, "", "old")
    await db.execute(f'DROP TABLE "{NAME}"')
    await db.execute(f'CREATE TABLE "{NAME}" (id INTEGER PRIMARY KEY, "the title", body, n)')
    assert [info.searched_columns for info in await db.tables()] == [()]
    await insert(db, 2, "", "new")
    await make_search_index(db, TABLE, ["body"])
    assert await found(db, "old OR new") == [2]


WORDS = st.sampled_from(["red", "green", "blue", "", "red green", "Blue, red!"])
CHANGES = st.one_of(
    st.tuples(st.just('INSERT OR REPLACE INTO "{}" VALUES (?, ?, ?, 1)'), st.tuples(st.integers(1, 5), WORDS, WORDS)),
    st.tuples(st.just('UPDATE "{}" SET body = ? WHERE id >= ?'), st.tuples(WORDS, st.integers(1, 5))),
    st.tuples(st.just('UPDATE OR REPLACE "{}" SET id = ? WHERE id = ?'), st.tuples(st.integers(1, 5), st.integers(1, 5))),
    st.tuples(st.just('INSERT OR IGNORE INTO "{}" VALUES (?, ?, ?, 1)'), st.tuples(st.integers(1, 5), WORDS, WORDS)),
    st.tuples(st.just('DELETE FROM "{}" WHERE id = ?'), st.tuples(st.integers(1, 5))),
    st.tuples(st.just('INSERT INTO "{}" VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET body = excluded.body'), st.tuples(st.integers(1, 5), WORDS, WORDS)),
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CHANGES, max_size=12))
async def test_any_changes_leave_the_index_as_the_table_is(
    db: Database, changes: list[tuple[str, tuple[Any, ...]]]
) -> None:
    await db.execute(f'DELETE FROM "{NAME}"')  # noqa: S608
    await make_search_index(db, TABLE, ["the title", "body"])
    for sql, params in changes:
        await db.execute(sql.format(NAME), params)
    rows = await db.query(f'SELECT id, "the title", body FROM "{NAME}" ORDER BY id')  # noqa: S608
    for word in ("red", "green", "blue"):
        assert await found(db, word) == [key for key, *texts in rows if word in " ".join(texts).lower()]

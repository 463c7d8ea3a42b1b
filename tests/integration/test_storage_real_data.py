"""Reads of real tables, where the folder of real data is there."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import apsw
import pytest

import storage
from storage import StorageSettings
from tests.support.loops import ASYNCIO, on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from storage import Databases

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"NO REAL DATA: {DATA.name} of the shared folder is not beside this checkout"
)

anyio_backend = on(ASYNCIO)  # what is read does not know who waits for it

JOINED = """
SELECT ar.Name AS artist, al.Title AS album, count(*) AS tracks, sum(t.Milliseconds) AS ms, avg(t.UnitPrice) AS price
FROM Artist AS ar JOIN Album AS al USING (ArtistId) JOIN Track AS t USING (AlbumId)
GROUP BY al.AlbumId ORDER BY ar.Name COLLATE NOCASE, al.AlbumId
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    shutil.copy(DATA / "chinook.sqlite", folder / "chinook.sqlite")
    with gzip.open(DATA / "geonames.sqlite.gz") as packed, (folder / "geonames.sqlite").open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    return folder


@pytest.fixture(scope="module", params=["inline", "process"])
async def databases(
    request: pytest.FixtureRequest,
    anyio_backend: object,
    sources: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Databases]:
    del anyio_backend  # it is asked for first
    settings = StorageSettings(use_workers=request.param == "process", worker_count=2)
    folder = tmp_path_factory.mktemp("data")
    async with storage.open_databases(folder, settings) as opened:
        for name in ("chinook", "geonames"):
            await opened.copy_in(name, sources / f"{name}.sqlite")
        yield opened


def rows_of(source: Path, sql: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["chinook", "geonames"])
async def test_every_table_comes_out_whole_in_every_form(
    databases: Databases, sources: Path, name: str
) -> None:
    database = databases.get(name)
    tables = await database.tables()
    assert tables
    for table in tables:
        order = "rowid" if table.has_rowid else ", ".join(f'"{name}"' for name in table.primary_key)
        sql = f'SELECT * FROM "{table.name}" ORDER BY {order} LIMIT 20000'  # noqa: S608 - the schema's own names
        expected = await anyio.to_thread.run_sync(rows_of, sources / f"{name}.sqlite", sql)
        assert await database.query(sql) == expected
        told = json.loads(await database.query_json(sql, shape="arrays"))
        assert told == [list(row) for row in expected]
        pieces = [piece async for piece in database.stream_json(sql)]
        assert b"".join(pieces) == await database.query_json(sql)


async def test_a_join_with_groups_and_an_order_reads_alike(databases: Databases, sources: Path) -> None:
    expected = await anyio.to_thread.run_sync(rows_of, sources / "chinook.sqlite", JOINED)
    assert len(expected) > 300
    assert json.loads(await databases.get("chinook").query_json(JOINED, shape="arrays")) == [
        list(row) for row in expected
    ]


async def test_a_copied_database_takes_writes(databases: Databases) -> None:
    chinook = databases.get("chinook")
    written = await chinook.execute("INSERT INTO Artist(Name) VALUES(?)", ["Zoë \u2028 the new one"])
    assert await chinook.query("SELECT Name FROM Artist WHERE ArtistId = ?", [written.last_insert_rowid]) == [
        ("Zoë \u2028 the new one",)
    ]
    await chinook.execute("DELETE FROM Artist WHERE ArtistId = ?", [written.last_insert_rowid])


async def test_messages_of_real_people_come_back_to_the_letter(databases: Databases) -> None:
    if "chat" in databases.names():
        await databases.drop("chat")
    messages = await anyio.to_thread.run_sync(chat_lines, 4_000)
    chat = await databases.create("chat")
    await chat.execute("CREATE TABLE m(id INTEGER PRIMARY KEY, author TEXT, text TEXT) STRICT")
    inserts = [("INSERT INTO m VALUES(?, ?, ?)", message) for message in messages]
    await chat.execute_batch(inserts)
    told = json.loads(await chat.query_json("SELECT id, author, text FROM m ORDER BY id", shape="arrays"))
    assert [tuple(row) for row in told] == messages
    assert await chat.query("SELECT id, author, text FROM m ORDER BY id") == messages


def chat_lines(count: int) -> list[tuple[int, str, str]]:
    """Return the first `count` messages of each log, numbered through."""
    found: list[tuple[int, str, str]] = []
    for log in ("chat_irc", "chat_slack_ja"):
        with gzip.open(DATA / f"{log}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as lines:
            for _, line in zip(range(count), lines, strict=False):
                message = json.loads(line)
                found.append((len(found), message["author"], message["text"]))
    return found

"""Backups of databases that are written meanwhile, the check of a file, and the way back."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import apsw
import pytest
from typing_extensions import override

from storage import (
    BackupFolder,
    DatabaseCorrupt,
    DatabaseExists,
    DatabaseNotFound,
    Databases,
    StorageBusy,
    StorageSettings,
    back_up,
    open_databases,
    verify,
)
from storage.sqlite import backups, imports
from tests.support.loops import one_loop
from workers import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage import Database

aside = anyio.to_thread.run_sync
"""What would block the loop is done beside it."""
SETTINGS = StorageSettings(kind="thread", worker_count=1, query_timeout_s=60.0)
LIMIT_S = 30.0


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(tmp_path / "data") as databases:
        yield await filled(databases)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Databases]:
    with anyio.fail_after(LIMIT_S):
        async with open_databases(folder, SETTINGS) as databases:
            yield databases


async def filled(databases: Databases, name: str = "shop") -> Database:
    """Return a database of 8 MB in which two accounts have nothing together."""
    shop = await databases.create(name)
    await shop.execute("CREATE TABLE account(id INTEGER PRIMARY KEY, cents INTEGER NOT NULL) STRICT")
    await shop.execute("INSERT INTO account VALUES (1, 0), (2, 0)")
    await shop.execute("CREATE TABLE ballast(id INTEGER PRIMARY KEY, x BLOB)")
    await shop.execute(
        "INSERT INTO ballast WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)"
        " SELECT i, randomblob(1000) FROM n"
    )
    return shop


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(path: Path, sql: str) -> list[tuple[apsw.SQLiteValue, ...]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def test_a_backup_under_constant_writes_ends_and_is_of_one_moment(
    shop: Database, tmp_path: Path
) -> None:
    async def move_money() -> None:
        while True:
            await shop.execute_batch(
                [
                    ("UPDATE account SET cents = cents + 1 WHERE id = 1", []),
                    ("UPDATE account SET cents = cents - 1 WHERE id = 2", []),
                    ("UPDATE ballast SET x = randomblob(1000) WHERE id = 1 + abs(random() % 8000)", []),
                ]
            )

    async with anyio.create_task_group() as group:
        group.start_soon(move_money)
        made = [await shop.back_up(tmp_path / f"copy-{number}.db") for number in range(3)]
        group.cancel_scope.cancel()
    for number, copy in enumerate(made):
        path = tmp_path / f"copy-{number}.db"
        assert copy.size_bytes == (await aside(path.stat)).st_size == copy.page_count * 4096
        assert await aside(read, path, "SELECT sum(cents), count(*) FROM account") == [(0, 2)]
        assert await aside(read, path, "PRAGMA integrity_check") == [("ok",)]
    assert await aside(names_in, tmp_path) == ["copy-0.db", "copy-1.db", "copy-2.db", "data"]


class WritingTask(Task):
    """A task that writes the source whenever the copy looks whether it is still wanted."""

    def __init__(self, writer: apsw.Connection) -> None:
        super().__init__()
        self.looks_count = 0
        self._writer = writer

    @override
    def check(self) -> None:
        self.looks_count += 1
        if self.looks_count > 1_000:
            raise AssertionError("the copy begins anew for ever")
        self._writer.execute("UPDATE account SET cents = cents + 1")


def test_writes_between_its_steps_do_not_make_a_backup_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_PAGES_A_STEP", 10)
    writer = apsw.Connection(str(tmp_path / "shop.db"))
    for sql in (
        "PRAGMA journal_mode = wal",
        "CREATE TABLE account(cents INTEGER)",
        "INSERT INTO account VALUES (0)",
        "CREATE TABLE ballast(x)",
        "INSERT INTO ballast WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) SELECT zeroblob(1000) FROM n",
    ):
        writer.execute(sql).fetchall()
    task = WritingTask(writer)
    params = backups.BackupParams(str(tmp_path / "shop.db"), str(tmp_path / "copy.db"))
    made = backups.BackupService({}).backup(params, task)
    assert task.looks_count <= made.page_count // 10 + 2
    assert read(tmp_path / "copy.db", "SELECT cents FROM account") == [(0,)]
    writer.close()


@one_loop
async def test_a_backup_tells_how_far_it_is(shop: Database, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    made = await shop.back_up(tmp_path / "copy.db", lambda done, total, _: told.append((done, total)))
    assert told
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {total for _, total in told} == {made.page_count}


@one_loop
async def test_a_backup_is_not_made_over_a_file_that_is_there(shop: Database, tmp_path: Path) -> None:
    await aside((tmp_path / "copy.db").write_text, "precious")
    with pytest.raises(DatabaseExists):
        await shop.back_up(tmp_path / "copy.db")
    assert await aside((tmp_path / "copy.db").read_text) == "precious"


async def test_a_backup_is_not_put_beside_the_log_of_another_file(shop: Database, tmp_path: Path) -> None:
    await aside((tmp_path / "copy.db-wal").write_text, "of another")
    with pytest.raises(DatabaseExists, match=r"copy\.db-wal"):
        await shop.back_up(tmp_path / "copy.db")
    assert await aside(names_in, tmp_path) == ["copy.db-wal", "data"]


async def test_of_two_backups_to_one_place_one_is_refused_and_the_other_is_whole(
    shop: Database, tmp_path: Path
) -> None:
    ends: list[str] = []

    async def copied() -> None:
        try:
            await shop.back_up(tmp_path / "copy.db")
            ends.append("made")
        except DatabaseExists:
            ends.append("refused")

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(copied)
    assert sorted(ends) == ["made", "refused", "refused", "refused"]
    assert await aside(read, tmp_path / "copy.db", "PRAGMA integrity_check") == [("ok",)]
    assert await aside(names_in, tmp_path) == ["copy.db", "data"]


async def test_a_cancelled_backup_leaves_nothing_or_is_whole_if_the_cancel_came_too_late(
    shop: Database, tmp_path: Path
) -> None:
    with anyio.CancelScope() as scope:
        await shop.back_up(tmp_path / "copy.db", lambda *_: scope.cancel())
    assert scope.cancelled_caught
    names = await aside(names_in, tmp_path)
    if "copy.db" in names:
        assert (await verify(tmp_path / "copy.db", SETTINGS)).table_counts == {"account": 2, "ballast": 8000}
        names.remove("copy.db")
    assert names == ["data"]


@one_loop
async def test_what_is_not_there_can_not_be_copied(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFound):
        await back_up(tmp_path / "nothing.db", tmp_path / "copy.db", SETTINGS)
    await aside((tmp_path / "text.db").write_text, "no database at all" * 100)
    with pytest.raises(DatabaseCorrupt):
        await back_up(tmp_path / "text.db", tmp_path / "copy.db", SETTINGS)
    assert await aside(names_in, tmp_path) == ["text.db"]


@one_loop
async def test_a_sound_database_is_found_sound_and_its_rows_are_counted(shop: Database) -> None:
    found = await shop.verify()
    assert (found.is_sound, found.complaints) == (True, [])
    assert found.table_counts == {"account": 2, "ballast": 8000}


def add_orphan(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO part VALUES (77)")  # foreign keys are off here
    connection.close()


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 100)
        file.write(b"\xff" * 4096)


@one_loop
async def test_a_damaged_page_and_a_row_without_its_parent_are_found(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as databases:
        shop = await filled(databases)
        await shop.execute("CREATE TABLE part(account_id INTEGER REFERENCES account)")
    path = tmp_path / "data" / "shop.db"
    await aside(add_orphan, path)
    orphan = await verify(path, SETTINGS)
    assert orphan.complaints == ["row 1 of part refers to a row of account that is not there"]
    await aside(damage, path)
    damaged = await verify(path, SETTINGS)
    assert not damaged.is_sound
    assert damaged.complaints
    with pytest.raises(DatabaseCorrupt):
        await back_up(path, tmp_path / "copy.db", SETTINGS)
    assert await aside(names_in, tmp_path) == ["data"]


@one_loop
async def test_of_dated_backups_the_newest_are_kept(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path / "backups")
    made = []
    for now in (0.0, 1_700_000_000.0, 1_700_000_000.0, 1_800_000_000.0):
        place = await folder.place_for("shop", now)
        await aside(place.touch)
        made.append(place.name)
    assert made == [
        "shop-19700101T000000Z.db",
        "shop-20231114T221320Z.db",
        "shop-20231114T221320Z-2.db",
        "shop-20270115T080000Z.db",
    ]
    other = await folder.place_for("shop-2", 0.0)
    await aside(other.touch)
    await aside((folder.root / "shop-of-mine.db").touch)
    assert [place.name for place in await folder.of("shop")] == made
    assert [place.name for place in await folder.keep("shop", 2)] == made[:2]
    assert [place.name for place in await folder.of("shop")] == made[2:]
    assert await aside(other.exists)


@one_loop
async def test_a_restored_database_is_the_backup_and_goes_on_from_there(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as databases:
        shop = await filled(databases)
        await shop.back_up(tmp_path / "copy.db")
        await shop.execute("DELETE FROM ballast")
        assert await shop.query("SELECT count(*) FROM ballast") == [(0,)]
        restored = await databases.restore("shop", tmp_path / "copy.db")
        assert databases.get("shop") is restored
        assert await restored.query("SELECT count(*) FROM ballast") == [(8000,)]
        with pytest.raises(DatabaseNotFound):
            await shop.query("SELECT 1")
        await restored.execute("INSERT INTO account VALUES (3, 7)")
        assert await restored.query("SELECT count(*) FROM account") == [(3,)]
    async with opened(tmp_path / "data") as databases:
        assert await databases.get("shop").query("SELECT count(*) FROM account") == [(3,)]
    assert await aside(names_in, tmp_path / "data") == ["shop.db"]


@one_loop
async def test_what_is_no_sound_backup_changes_nothing(tmp_path: Path) -> None:
    await aside((tmp_path / "text.db").write_text, "no database at all" * 100)
    async with opened(tmp_path / "data") as databases:
        shop = await filled(databases)
        with pytest.raises(DatabaseCorrupt):
            await databases.restore("shop", tmp_path / "text.db")
        with pytest.raises(DatabaseNotFound):
            await databases.restore("shop", tmp_path / "nothing.db")
        assert await shop.query("SELECT count(*) FROM ballast") == [(8000,)]
        await shop.execute("INSERT INTO account VALUES (3, 7)")


async def test_a_restore_waits_for_no_reader_and_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as databases:
        shop = await filled(databases)
        await shop.back_up(tmp_path / "copy.db")
        async with shop.snapshot() as snapshot:
            await shop.execute("INSERT INTO account VALUES (3, 7)")
            with pytest.raises(StorageBusy):
                await databases.restore("shop", tmp_path / "copy.db")
            assert await snapshot.query("SELECT count(*) FROM account") == [(2,)]
            assert await shop.query("SELECT count(*) FROM account") == [(3,)]
        restored = await databases.restore("shop", tmp_path / "copy.db")
        assert await restored.query("SELECT count(*) FROM account") == [(2,)]

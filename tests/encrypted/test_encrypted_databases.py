"""Encrypted databases, by the build of apsw that can: what lies on the disk, who opens it, and how it is copied."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

import storage
from storage import DatabaseCorrupt, NotAllowed, StorageSettings, WrongKey
from tests.encrypted.conftest import MARKER, settings_for, shown_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from storage import Database, Databases
    from workers import FileKeySource

    Keys = dict[str, FileKeySource]

KINDS = pytest.mark.parametrize("kind", ["process", "thread"])
ROWS_COUNT = 3_000
LIMIT_S = 50.0
aside = anyio.to_thread.run_sync


@asynccontextmanager
async def opened(folder: Path, settings: StorageSettings) -> AsyncIterator[Databases]:
    with anyio.fail_after(LIMIT_S):
        async with storage.open_databases(folder, settings) as databases:
            yield databases


async def filled(database: Database) -> None:
    await database.execute("CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT)")
    await database.execute(
        "INSERT INTO note(text) WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT ? || i FROM n",
        [ROWS_COUNT, MARKER],
    )


async def count(database: Database) -> int:
    ((found,),) = await database.query("SELECT count(*) FROM note WHERE text LIKE ? || '%'", [MARKER])
    return int(found)


@KINDS
async def test_what_is_written_can_be_read_in_no_file(kind: str, tmp_path: Path, keys: Keys) -> None:
    settings = settings_for(kind, shop=keys["first"])
    async with opened(tmp_path / "data", settings) as databases:
        shop = await databases.create("shop")
        await filled(shop)
        plain = await databases.create("plain")
        await filled(plain)
        async with shop.snapshot() as snapshot:
            await shop.execute("UPDATE note SET text = text || 'x'")
            assert await snapshot.query("SELECT max(text) FROM note WHERE id = 1") == [(f"{MARKER}1",)]
            sorting = "SELECT text, randomblob(200) FROM note ORDER BY 2"
            assert len(await shop.query(sorting)) == ROWS_COUNT
            await shop.back_up(tmp_path / "copy.db")
            log = await anyio.Path(tmp_path / "data" / "shop.db-wal").stat()
            assert log.st_size > 100_000
            found = await aside(shown_in, tmp_path, MARKER.encode())
        assert {Path(name).name.partition("-")[0] for name in found} == {"plain.db"}
    found = await aside(shown_in, tmp_path, MARKER.encode())
    assert found == ["data/plain.db"]


@KINDS
async def test_what_was_written_is_there_again_with_the_key(kind: str, tmp_path: Path, keys: Keys) -> None:
    for number in range(3):
        async with opened(tmp_path / "data", settings_for(kind, shop=keys["first"])) as databases:
            if number == 0:
                await filled(await databases.create("shop"))
            assert await count(databases.get("shop")) == ROWS_COUNT
            assert (await databases.get("shop").verify()).is_sound
    async with opened(tmp_path / "data", settings_for(kind, **{"*": keys["first"]})) as databases:
        assert await count(databases.get("shop")) == ROWS_COUNT


@KINDS
async def test_readers_and_writers_at_once_leave_a_sound_file(kind: str, tmp_path: Path, keys: Keys) -> None:
    async with opened(tmp_path / "data", settings_for(kind, shop=keys["first"])) as databases:
        shop = await databases.create("shop")
        await filled(shop)

        async def write(number: int) -> None:
            await shop.execute_batch([("INSERT INTO note(text) VALUES (?)", [f"{MARKER}{number}"])] * 3)

        async def read(_number: int) -> None:
            assert (await count(shop)) % 3 == 0

        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(write, number)
                group.start_soon(read, number)
        assert await count(shop) == ROWS_COUNT + 600
        found = await shop.verify()
    assert (found.is_sound, found.table_counts) == (True, {"note": ROWS_COUNT + 600})


@KINDS
async def test_a_key_that_does_not_fit_is_told_and_the_file_is_not_touched(
    kind: str, tmp_path: Path, keys: Keys
) -> None:
    async with opened(tmp_path / "data", settings_for(kind, shop=keys["first"])) as databases:
        await filled(await databases.create("shop"))
        await filled(await databases.create("plain"))
    before = await aside(contents, tmp_path / "data")
    wrong = settings_for(kind, shop=keys["second"], plain=keys["first"])
    async with opened(tmp_path / "data", wrong) as databases:
        for name, words in (("shop", "another one"), ("plain", "is not encrypted")):
            for act in (databases.get(name).query, databases.get(name).execute):
                with pytest.raises(WrongKey, match=words):
                    await act(
                        "DELETE FROM note RETURNING 1" if act == databases.get(name).execute else "SELECT 1"
                    )
    async with opened(tmp_path / "data", settings_for(kind)) as databases:
        with pytest.raises(DatabaseCorrupt, match="no key is given"):
            await databases.get("shop").query("SELECT 1")
    assert await aside(contents, tmp_path / "data") == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@KINDS
async def test_callers_can_neither_give_a_key_nor_ask_about_the_cipher(
    kind: str, tmp_path: Path, keys: Keys
) -> None:
    async with opened(tmp_path / "data", settings_for(kind, shop=keys["first"])) as databases:
        shop = await databases.create("shop")
        for sql in (
            "PRAGMA key = 'x'",
            "PRAGMA rekey = 'x'",
            "PRAGMA hexrekey = '00'",
            "PRAGMA cipher = 'rc4'",
            "SELECT sqlite3mc_codec_data('raw:cipher_salt')",
            "SELECT sqlite3mc_config('cipher')",
            "ATTACH 'other.db' AS other KEY 'x'",
        ):
            for act in (shop.query, shop.execute):
                with pytest.raises(NotAllowed):
                    await act(sql)


async def test_no_worker_shows_the_key_in_its_arguments_its_environment_or_a_log(
    tmp_path: Path, keys: Keys, capfd: pytest.CaptureFixture[str]
) -> None:
    raw = await anyio.Path(keys["first"].path).read_bytes()
    settings = settings_for("process", shop=keys["first"])
    assert raw.hex() not in repr(settings)
    async with opened(tmp_path / "data", settings) as databases:
        await filled(await databases.create("shop"))
        await databases.get("shop").back_up(tmp_path / "copy.db")
        told = await aside(told_by_children)
        with pytest.raises(storage.SqlError):
            await databases.get("shop").query("SELECT nothing FROM note")
    captured = await aside(capfd.readouterr)
    assert "pool_opened" in captured.out
    assert len(told) >= 2
    for text in (*told, captured.out.encode(), captured.err.encode()):
        assert raw not in text
        assert raw.hex().encode() not in text.lower()


def told_by_children() -> list[bytes]:
    """Return what the system tells of each child: its arguments and its environment."""
    threads = Path("/proc/self/task").iterdir()
    children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    return [Path(f"/proc/{pid}/{what}").read_bytes() for pid in children for what in ("cmdline", "environ")]


@KINDS
async def test_a_backup_comes_back_whatever_keys_it_and_its_database_have(
    kind: str, tmp_path: Path, keys: Keys
) -> None:
    given = settings_for(kind, shop=keys["first"], other=keys["second"])
    async with opened(tmp_path / "data", given) as databases:
        for name in ("shop", "plain"):
            await filled(await databases.create(name))
        copies = storage.BackupFolder(tmp_path / "backups")
        places = {name: await copies.place_for(name, 0.0) for name in ("shop", "plain")}
        for name, place in places.items():
            await databases.get(name).back_up(place)
            assert (await storage.verify(place, given)).table_counts == {"note": ROWS_COUNT}
        for name in ("shop", "plain"):
            await databases.get(name).execute("DELETE FROM note")
            assert await count(await databases.restore(name, places[name])) == ROWS_COUNT
        assert await count(await databases.copy_in("other", places["shop"])) == ROWS_COUNT
        assert await count(await databases.restore("other", places["plain"])) == ROWS_COUNT
        assert await count(await databases.restore("shop", places["plain"])) == ROWS_COUNT
    found = await aside(shown_in, tmp_path, MARKER.encode())
    assert [name for name in found if "plain" not in name] == []
    async with opened(tmp_path / "data", settings_for(kind, shop=keys["second"])) as databases:
        with pytest.raises(WrongKey):
            await databases.restore("shop", places["shop"])

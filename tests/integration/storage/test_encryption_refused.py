"""What is said of encrypted databases by an apsw that can't encrypt, and how keys travel; `tests/encrypted` has the rest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import apsw
import msgspec
import pytest

from storage import (
    DatabaseCorrupt,
    DatabaseNotFound,
    EncryptionUnavailable,
    StorageBusy,
    StorageSettings,
    open_databases,
    rekey,
    verify,
)
from storage import open as open_database
from storage.file_keys import FileKeys, Key
from storage.keys import key_for, with_file_key, with_folder_keys
from storage.sqlite import encryption, rekeying
from storage.sqlite.connection import ConnectionSettings
from workers import FileKeySource, Task

if TYPE_CHECKING:
    from pathlib import Path

RAW = bytes(range(32))
LIMIT_S = 30.0
aside = anyio.to_thread.run_sync


@pytest.fixture
def source(tmp_path: Path) -> FileKeySource:
    return FileKeySource.create(tmp_path / "a.key")


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this build taken for one that can encrypt, where nothing is encrypted."""
    monkeypatch.setattr(apsw, "mc_version", "none", raising=False)


@pytest.mark.skipif(encryption.can_encrypt(), reason="this build can encrypt")
async def test_a_key_that_this_build_can_not_use_is_refused_before_anything_is_made(
    tmp_path: Path, source: FileKeySource
) -> None:
    asked = StorageSettings(kind="thread", keys={"shop": source, "one.db": source})
    with anyio.fail_after(LIMIT_S):
        with pytest.raises(EncryptionUnavailable, match=r"pip install .* apsw-sqlite3mc"):
            async with open_databases(tmp_path / "data", asked):
                pass
        with pytest.raises(EncryptionUnavailable, match=r"one\.db is to be encrypted"):
            async with open_database(tmp_path / "one.db", asked):
                pass
        with pytest.raises(EncryptionUnavailable):
            await rekey(tmp_path / "two.db", asked, old=None, new=source)
        with pytest.raises(EncryptionUnavailable):
            await verify(tmp_path / "backup" / "shop-20261123T120000Z.db", asked)
        async with open_database(tmp_path / "two.db", asked) as in_the_clear:
            assert await in_the_clear.query("SELECT 1") == [(1,)]
    assert await aside(lambda: sorted(path.name for path in tmp_path.iterdir())) == ["a.key", "two.db"]


@pytest.mark.skipif(encryption.can_encrypt(), reason="this build can encrypt")
def test_a_worker_that_can_not_use_a_key_does_not_open_the_file(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    with pytest.raises(encryption.CannotEncrypt):
        encryption.unlock(connection, Key(RAW))
    connection.close()
    assert (tmp_path / "x.db").stat().st_size == 0


async def test_an_encrypted_file_without_a_key_is_told_as_what_it_may_be(tmp_path: Path) -> None:
    await aside((tmp_path / "shop.db").write_bytes, os.urandom(8192))
    async with open_databases(tmp_path, StorageSettings(kind="thread")) as databases:
        with pytest.raises(DatabaseCorrupt, match="encrypted and no key is given"):
            await databases.get("shop").query("SELECT 1")


def test_no_text_of_settings_options_or_errors_shows_a_key() -> None:
    keys = FileKeys(by_path={"/data/shop.db": Key(RAW)}, folder="/data/", rest=Key(RAW))
    settings = StorageSettings(file_keys=keys)
    shown = (
        f"{settings!r} {settings.service_options()!r} {keys!r} {Key(RAW)!r} {ConnectionSettings(keys=keys)!r}"
    )
    assert RAW.hex() not in shown
    assert repr(RAW)[2:-1] not in shown


def test_keys_come_to_a_worker_as_they_were_sent() -> None:
    keys = FileKeys(by_path={"/data/shop.db": Key(RAW)}, folder="/data/", rest=Key(bytes(32)))
    sent = msgspec.msgpack.encode(StorageSettings(file_keys=keys).service_options())
    found = ConnectionSettings.from_options(msgspec.msgpack.decode(sent)).keys
    assert found == keys
    assert found.of("/data/shop.db") == Key(RAW)
    assert found.of("/data/other.db") == Key(bytes(32))
    assert found.of("/other/shop.db") is None
    assert found.of("/data/sub/other.db") is None
    assert ConnectionSettings.from_options({}).keys.of("/data/shop.db") is None


@pytest.mark.usefixtures("able")
async def test_a_key_is_found_by_the_name_of_a_database_a_file_or_a_backup(tmp_path: Path) -> None:
    places = {"shop": "1", "*": "2", "chat.db": "3"}
    sources = {name: await aside(FileKeySource.create, tmp_path / place) for name, place in places.items()}
    settings = StorageSettings(keys=sources)
    raw = {name: Key(await aside(each.path.read_bytes)) for name, each in sources.items()}
    for file, name in (
        ("shop.db", "shop"),
        ("shop-20261123T120000Z.db", "shop"),
        ("shop-20261123T120000Z-2.db", "shop"),
        ("other.db", "*"),
        ("chat.db", "chat.db"),
        ("chat.db-20261123T120000Z.db", "chat.db"),
    ):
        assert await key_for(settings, tmp_path / "any" / file) == raw[name], file
    assert await key_for(settings, tmp_path / "mine.db", otherwise=raw["shop"]) == raw["shop"]
    folder = (await with_folder_keys(settings, tmp_path)).file_keys
    assert [folder.of(str(tmp_path / name)) for name in ("shop.db", "chat.db")] == [raw["shop"], raw["*"]]
    alone = (await with_file_key(settings, tmp_path / "chat.db")).file_keys
    assert alone.of(str(tmp_path / "chat.db")) == raw["chat.db"]
    assert (await with_file_key(settings, tmp_path / "shop.db")).file_keys.by_path == {}


@pytest.mark.usefixtures("able")
async def test_a_key_that_is_not_where_it_should_be_is_told_with_its_database(tmp_path: Path) -> None:
    settings = StorageSettings(keys={"shop": FileKeySource(tmp_path / "nothing")})
    with pytest.raises(EncryptionUnavailable, match="the key of shop can't be had"):
        await with_folder_keys(settings, tmp_path)


def test_a_file_is_replaced_by_its_copy_unless_somebody_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    other = apsw.Connection(str(path))
    other.pragma("journal_mode", "wal")
    other.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    params = rekeying.RekeyParams(path=str(path), old=None, new=None)
    unfinished = tmp_path / "shop.db.rekeying"
    with pytest.raises(StorageBusy, match="in use"):
        rekeying._replace(params, unfinished, Task())
    other.close()
    before = path.stat().st_ino
    rekeying._replace(params, unfinished, Task())
    assert path.stat().st_ino != before
    again = apsw.Connection(str(path))
    assert again.execute("SELECT a FROM t").fetchall() == [(1,)]
    again.close()
    done = rekeying.RekeyService({}).rekey(params, Task())
    assert done.had_it_already
    with pytest.raises(DatabaseNotFound):
        rekeying.RekeyService({}).rekey(
            rekeying.RekeyParams(path=str(tmp_path / "x"), old=None, new=None), Task()
        )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["shop.db"]

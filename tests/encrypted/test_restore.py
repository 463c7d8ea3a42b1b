"""Backups in the place of encrypted databases: with their key, another one, an older one, none, and killed at any step."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import apsw
import pytest

import storage
from storage import WrongKey
from storage.file_keys import Key
from storage.sqlite.encryption import unlock
from tests.encrypted.conftest import MARKER, settings_for, shown_in
from tests.support.command_line import called
from tests.support.dying_steps import Dying
from tests.support.restoring import NEW_COUNT, OLD_COUNT, make, placed, rows_count

if TYPE_CHECKING:
    from pathlib import Path

    from workers import FileKeySource

    Keys = dict[str, FileKeySource]

MOST_STEPS_COUNT = 300
LIMIT_S = 50.0
WAYS = pytest.mark.parametrize("way", ["alone", "served"])
aside = anyio.to_thread.run_sync

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


def raw(source: FileKeySource) -> Key:
    return Key(source.path.read_bytes())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


async def restore(way: str, path: Path, source: Path, key: FileKeySource) -> None:
    settings = settings_for("thread", **{"shop": key, "shop.db": key})
    with anyio.fail_after(LIMIT_S):
        if way == "alone":
            await storage.restore(source, path, settings)
            return
        async with storage.open_databases(path.parent, settings) as databases:
            await databases.restore("shop", source)


@WAYS
async def test_a_wrong_key_restores_nothing_and_touches_neither_the_file_nor_its_log(
    way: str, tmp_path: Path, keys: Keys
) -> None:
    path = placed(make(tmp_path, raw(keys["first"])), tmp_path / "data")
    before = contents(path.parent)
    with pytest.raises(WrongKey, match="another key opens the file"):
        await restore(way, path, tmp_path / "backup.db", keys["second"])
    assert contents(path.parent) == before
    assert rows_count(path, raw(keys["first"])) == OLD_COUNT


@WAYS
async def test_a_damaged_database_is_restored_with_its_key(way: str, tmp_path: Path, keys: Keys) -> None:
    path = placed(make(tmp_path, raw(keys["first"])), tmp_path / "data")
    with path.open("r+b") as file:
        file.write(os.urandom(20_000))
    await restore(way, path, tmp_path / "backup.db", keys["first"])
    assert rows_count(path, raw(keys["first"])) == NEW_COUNT
    assert list(contents(path.parent)) == ["shop.db"]


@WAYS
async def test_whoever_kills_the_restore_of_an_encrypted_database_leaves_the_old_one_or_the_new_one(
    way: str, tmp_path: Path, keys: Keys
) -> None:
    made, key = make(tmp_path, raw(keys["first"])), raw(keys["first"])
    found = []
    with Dying("tests.support.dying_restore") as dying:
        for step in range(1, MOST_STEPS_COUNT):
            path = placed(made, tmp_path / "data")
            words = (way, str(path), str(tmp_path / "backup.db"), str(keys["first"].path))
            if await aside(dying.work, step, *words) == 0:
                break
            found.append(rows_count(path, key))
    assert set(found) == {OLD_COUNT, NEW_COUNT}
    assert found == sorted(found, reverse=True)


def rows_by_rowid(path: Path, key: Key | None) -> list[tuple[Any, ...]]:
    connection = apsw.Connection(str(path))
    try:
        unlock(connection, key)
        return connection.execute("SELECT rowid, text FROM loose ORDER BY rowid").fetchall()
    finally:
        connection.close()


async def test_rows_keep_their_numbers_when_a_database_is_encrypted_or_decrypted(
    tmp_path: Path, keys: Keys
) -> None:
    path = tmp_path / "shop.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE loose(text)")
    connection.execute("INSERT INTO loose(rowid, text) VALUES (3, 'a'), (70, 'b'), (71, 'c')")
    connection.close()
    before = rows_by_rowid(path, None)
    settings = settings_for("thread")
    await storage.rekey(path, settings, old=None, new=keys["first"])
    assert rows_by_rowid(path, raw(keys["first"])) == before
    await storage.rekey(path, settings, old=keys["first"], new=None)
    assert rows_by_rowid(path, None) == before


def command(folder: Path, *words: str | Path, keys: str = "") -> Any:
    done = called(*words, "--data-dir", folder, environment={"DATASERVER_KEYS": keys})
    assert "Traceback" not in done.stderr
    return done


def users(folder: Path, keys: str) -> list[str]:
    done = command(folder, "user", "list", keys=keys)
    assert done.returncode == 0, done.stderr
    return [each["name"] for each in json.loads(done.stdout)]


def tokens(folder: Path, keys: str) -> list[str]:
    return [each["id"] for each in json.loads(command(folder, "token", "list", keys=keys).stdout)]


def created(folder: Path, name: str, keys: str) -> None:
    made = called(
        "user", "create", name, "--data-dir", folder,
        typed="correct horse battery\n" * 2, environment={"DATASERVER_KEYS": keys},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def test_the_chat_and_the_tokens_come_back_encrypted_also_out_of_a_backup_with_an_older_key(
    tmp_path: Path, keys: Keys
) -> None:
    data = tmp_path / "data"
    first, second = (f"file:{keys[name].path}" for name in ("first", "second"))
    older, newer = (f"chat.db={place},server.db={place}" for place in (first, second))
    created(data, MARKER, older)
    assert command(data, "token", "create", "--role", "read", keys=older).returncode == 0
    backups = {
        name: json.loads(command(data, "backup", name, keys=older).stdout)["name"]
        for name in ("chat.db", "server.db")
    }
    had = tokens(data, older)
    created(data, "bob", older)
    assert command(data, "token", "create", "--role", "read", keys=older).returncode == 0
    assert shown_in(tmp_path, MARKER.encode()) == []

    for name, backup in backups.items():
        done = command(data, "restore", name, backup, "--replace", keys=older)
        assert done.returncode == 0, done.stderr
    assert (users(data, older), tokens(data, older)) == ([MARKER], had)

    for name in backups:
        assert command(data, "rekey", name, "--to", second, keys=older).returncode == 0
    created(data, "cy", newer)
    refused = command(data, "restore", "chat.db", backups["chat.db"], "--replace", keys=newer)
    assert (refused.returncode, "`dataserver rekey`" in refused.stderr) == (1, True), refused.stderr
    assert users(data, newer) == ["cy", MARKER]

    named = f"{newer},{backups['chat.db']}={first}"
    done = command(data, "restore", "chat.db", backups["chat.db"], "--replace", keys=named)
    assert done.returncode == 0, done.stderr
    assert users(data, newer) == [MARKER]
    copied = data / "backups" / backups["server.db"]
    assert command(data, "rekey", copied, "--from", first, "--to", second, keys=newer).returncode == 0
    done = command(data, "restore", "server.db", copied, "--replace", keys=newer)
    assert (done.returncode, tokens(data, newer)) == (0, had), done.stderr
    assert shown_in(tmp_path, MARKER.encode()) == []


def test_the_key_of_all_other_databases_is_not_that_of_the_chat(tmp_path: Path, keys: Keys) -> None:
    data, others = tmp_path / "data", f"*=file:{keys['first'].path}"
    created(data, "ann", others)
    backup = json.loads(command(data, "backup", "chat.db", keys=others).stdout)["name"]
    created(data, "bob", others)
    done = command(data, "restore", "chat.db", backup, "--replace", keys=others)
    assert done.returncode == 0, done.stderr
    assert users(data, others) == ["ann"]

"""Another key for a database, also where whoever gives it is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread
import apsw
import pytest

import storage
from storage import StorageBusy, StorageError, StorageSettings, WrongKey
from storage.file_keys import Key
from storage.sqlite.encryption import SEAL_BYTES, unlock
from tests.encrypted.conftest import MARKER, shown_in
from tests.support.command_line import called, serving
from tests.support.dying_steps import Dying

if TYPE_CHECKING:
    from pathlib import Path

    from workers import FileKeySource

    Keys = dict[str, FileKeySource]

SETTINGS = StorageSettings(kind="thread", worker_count=1)
MOST_STEPS_COUNT = 200
ROWS_COUNT = 2_000
COUNTS = {"note": ROWS_COUNT}
aside = anyio.to_thread.run_sync

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


def raw(source: FileKeySource) -> str:
    return f"raw:{source.path.read_bytes().hex()}"


def make(path: Path, key: FileKeySource | None = None) -> None:
    """Make a database of some 500 kB, in place of whatever is there."""
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    connection = apsw.Connection(str(path))
    if key is not None:
        connection.pragma("cipher", "chacha20")
        connection.pragma("key", raw(key))
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT, more BLOB)")
    connection.execute(
        "INSERT INTO note WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?)"
        " SELECT i, ? || i, randomblob(200) FROM n",
        (ROWS_COUNT, MARKER),
    )
    connection.close()


def sealed_bytes(path: Path, key: FileKeySource) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.pragma("cipher", "chacha20")
    connection.pragma("key", raw(key))
    try:
        return connection.reserve_bytes()
    finally:
        connection.close()


def opens(path: Path, key: FileKeySource | None) -> bool:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        unlock(connection, None if key is None else Key(key.path.read_bytes()))
        connection.pragma("schema_version")
    except apsw.NotADBError:
        return False
    finally:
        connection.close()
    return True


async def sound(path: Path, key: FileKeySource | None) -> bool:
    """Return whether the file opens with the key; what opens has everything."""
    if not await aside(opens, path, key):
        return False
    found = await storage.verify(
        path, StorageSettings(kind="thread", keys={} if key is None else {path.name: key})
    )
    assert (found.is_sound, found.table_counts) == (True, COUNTS)
    return True


async def test_a_database_is_encrypted_gets_another_key_and_is_decrypted(tmp_path: Path, keys: Keys) -> None:
    path, first, second = tmp_path / "shop.db", keys["first"], keys["second"]
    await aside(make, path)
    for old, new in ((None, first), (first, second), (second, None)):
        done = await storage.rekey(path, SETTINGS, old=old, new=new)
        assert not done.had_it_already
        assert [await sound(path, key) for key in (first, second)] == [new == first, new == second]
        shown = await aside(shown_in, tmp_path, MARKER.encode())
        assert shown == ([] if new else ["shop.db"])
        if new:
            assert await aside(sealed_bytes, path, new) == SEAL_BYTES
        again = await storage.rekey(path, SETTINGS, old=old, new=new)
        assert again.had_it_already
    assert await sound(path, None)


async def test_a_wrong_old_key_or_a_database_in_use_changes_nothing(tmp_path: Path, keys: Keys) -> None:
    path, first, second = tmp_path / "shop.db", keys["first"], keys["second"]
    await aside(make, path, first)
    with pytest.raises(StorageError):
        await storage.rekey(path, SETTINGS, old=None, new=second)
    assert await sound(path, first)
    third = type(first).create(tmp_path / "third.key")
    with pytest.raises(WrongKey):
        await storage.rekey(path, SETTINGS, old=third, new=second)
    reading = StorageSettings(kind="process", keys={"shop.db": first})
    async with storage.open(path, reading) as shop:
        assert await shop.query("SELECT count(*) FROM note") == [(ROWS_COUNT,)]
        with pytest.raises(StorageBusy, match="in use"):
            await storage.rekey(path, SETTINGS, old=first, new=second)
    assert await sound(path, first)


@pytest.mark.parametrize("way", ["encrypt", "change", "decrypt"])
async def test_whoever_kills_it_at_whatever_step_leaves_the_old_key_or_the_new_one_and_all_that_was_there(
    way: str, tmp_path: Path, keys: Keys
) -> None:
    old = None if way == "encrypt" else keys["first"]
    new = None if way == "decrypt" else keys["second"]
    path = tmp_path / "shop.db"
    places = [None if key is None else str(key.path) for key in (old, new)]
    found = []
    with Dying("tests.encrypted.dying_rekey") as dying:
        for step in range(1, MOST_STEPS_COUNT):
            await aside(make, path, old)
            if await aside(dying.work, step, str(path), *places) == 0:
                break
            is_new = await sound(path, new)
            assert is_new or await sound(path, old)
            found.append(is_new)
            done = await storage.rekey(path, SETTINGS, old=old, new=new)
            assert done.had_it_already == is_new
            assert await sound(path, new)
            assert await aside(lambda: [each.name for each in tmp_path.glob("shop.db.*")]) == []
    assert found == sorted(found)
    assert found.count(False) > 15
    assert found.count(True) > 1


def test_a_server_is_encrypted_by_the_command_and_goes_on_with_the_chat_and_the_tokens(
    tmp_path: Path, keys: Keys
) -> None:
    data, place = tmp_path / "data", f"file:{keys['first'].path}"
    rows = tmp_path / "rows.jsonl"
    rows.write_text(f'{{"id":1,"name":"{MARKER}"}}\n')
    with serving(data) as server:
        token = server.first_token
        refused = called("rekey", "shared", "--to", place, "--data-dir", data)
        assert (refused.returncode, "in use" in refused.stderr) == (1, True)
    made = called("user", "create", MARKER, "--data-dir", data, typed="correct horse battery\n" * 2)
    assert made.returncode == 0, made.stderr
    filled = called("import", "jsonl", rows, "shared", "goods", "--primary-key", "id", "--data-dir", data)
    assert filled.returncode == 0, filled.stderr
    assert shown_in(data, MARKER.encode()) == ["chat.db", "data/shared.db"]
    for name in ("shared", "global", "chat.db", "server.db"):
        done = called("rekey", name, "--to", place, "--data-dir", data)
        assert (done.returncode, f"{name}={place}" in done.stderr) == (0, True), done.stderr
    assert shown_in(data, MARKER.encode()) == []
    environment = {"DATASERVER_KEYS": f"*={place},chat.db={place},server.db={place}"}
    with serving(data, environment=environment) as server:
        listed = called("user", "list", "--data-dir", data)
        assert MARKER in listed.stdout, listed.stderr
        read = called("query", "shared", "SELECT name FROM goods", "--data-dir", data)
        assert MARKER in read.stdout, read.stderr
        backup = called("backup", "shared", "--data-dir", data)
        assert backup.returncode == 0, backup.stderr
        assert called("token", "list", "--data-dir", data).returncode == 0
        assert server.stop() == 0
    assert token
    assert shown_in(data, MARKER.encode()) == []
    without = called("query", "shared", "SELECT 1", "--data-dir", data)
    assert (without.returncode, "no key is given" in without.stderr) == (1, True), without.stderr

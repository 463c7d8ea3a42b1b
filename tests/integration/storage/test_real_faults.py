"""Faults of real file systems and of the machine: what callers are told, and what it takes to go on."""

# ruff: noqa: S608 - scripts with paths of our own
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import apsw
import pytest

import storage
from storage import DatabaseCorrupt, StorageError, StorageFull, StorageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from storage import Database, Databases

open_database, open_databases = storage.open, storage.open_databases
LIMIT_S = 30
VOLUME_BYTES = 2 * 1024 * 1024
only_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A small file system in memory; skips the test where mounting is not permitted."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("a file system can't be mounted here: there is no mount")
    made = subprocess.run(  # noqa: S603 - our own command line
        [mount, "-t", "tmpfs", "-o", f"size={VOLUME_BYTES}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"a file system can't be mounted here: {made.stderr.strip()}")
    yield folder
    _mount("umount", str(folder))


def _mount(command: str, *arguments: str) -> None:
    subprocess.run([shutil.which(command) or command, *arguments], check=True)  # noqa: S603 - our own command line


def opened(path: Path, **numbers: int) -> AbstractAsyncContextManager[Database]:
    return open_database(path, StorageSettings(worker_count=1, **numbers))  # type: ignore[arg-type]  # numbers only


async def insert(db: Database, size_bytes: int) -> int:
    return (
        await db.execute("INSERT INTO item(data) VALUES (randomblob(?))", [size_bytes])
    ).last_insert_rowid or 0


@only_asyncio
async def test_a_full_file_system_refuses_what_does_not_fit_and_takes_the_rest_when_there_is_room(
    volume: Path,
) -> None:
    with anyio.fail_after(LIMIT_S):
        ballast = anyio.Path(volume / "ballast")
        await ballast.write_bytes(bytes(VOLUME_BYTES // 2))
        async with opened(volume / "d.db") as db:
            await db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data)")
            written: list[int] = []
            with pytest.raises(StorageFull):
                await _fill(db, written)
            assert len(written) > 3
            assert [key for (key,) in await db.query("SELECT id FROM item")] == written
            await ballast.unlink()
            written += [await insert(db, 50_000) for _ in range(3)]
            assert [key for (key,) in await db.query("SELECT id FROM item")] == written
            assert await db.query("PRAGMA integrity_check") == [("ok",)]


@only_asyncio
async def test_a_database_in_a_folder_that_can_not_be_written_says_so_and_is_whole_when_it_can(
    volume: Path,
) -> None:
    folder = volume
    with anyio.fail_after(LIMIT_S):
        async with opened(folder / "d.db") as db:
            await db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data)")
            await insert(db, 10)
        await anyio.to_thread.run_sync(_mount, "mount", "-o", "remount,ro", str(folder))
        with pytest.raises(StorageError) as caught:
            await _use(folder / "d.db")
        assert str(folder) not in str(caught.value)
        await anyio.to_thread.run_sync(_mount, "mount", "-o", "remount,rw", str(folder))
        async with opened(folder / "d.db") as db:
            assert await insert(db, 10) == 2


async def _fill(db: Database, written: list[int]) -> None:
    while True:
        written.append(await insert(db, 50_000))


async def _use(path: Path) -> None:
    async with opened(path) as db:
        await insert(db, 10)


@only_asyncio
async def test_garbage_in_place_of_a_database_is_told_and_costs_the_others_nothing(tmp_path: Path) -> None:
    numbers = StorageSettings(worker_count=1)
    async with open_databases(tmp_path, numbers) as databases:
        for name in ("good", "bad"):
            await (await databases.create(name)).execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data)")
    await anyio.Path(tmp_path / "bad.db").write_bytes(os.urandom(8_192))
    with anyio.fail_after(LIMIT_S):
        async with open_databases(tmp_path, numbers) as databases:
            await _check_bad_and_good(databases)


async def _check_bad_and_good(databases: Databases) -> None:
    good, bad = databases.get("good"), databases.get("bad")
    with pytest.raises(DatabaseCorrupt):
        await bad.query("SELECT sum(length(data)) FROM item")
    with pytest.raises(StorageError) as caught:
        await insert(bad, 10)
    assert isinstance(caught.value, DatabaseCorrupt)
    assert await insert(good, 10)


def left_log(path: Path) -> list[int]:
    """Write ten commits in a process that is killed; return their places in the log that is left."""
    script = f"""
import os, signal
from pathlib import Path
from tests.support.writing import WriterBench
bench = WriterBench(Path({str(path.parent)!r}))
bench.schema("CREATE TABLE item (id INTEGER PRIMARY KEY, data)")
for _ in range(10):
    bench.done(bench.write("INSERT INTO item(data) VALUES (zeroblob(5000))"))
    print(Path({str(path)!r} + "-wal").stat().st_size, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)  # noqa: S603
    return [int(line) for line in ran.stdout.split()]


def test_a_log_that_was_cut_off_gives_whole_commits_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    ends = left_log(path)
    assert len(ends) == 10
    kept = path.read_bytes(), (tmp_path / "shop.db-wal").read_bytes()
    for place, end in enumerate(ends):
        for cut in (end, end - 1, end - 4_000):
            path.write_bytes(kept[0])
            (tmp_path / "shop.db-wal").write_bytes(kept[1][:cut])
            (tmp_path / "shop.db-shm").unlink(missing_ok=True)
            connection = apsw.Connection(str(path))
            try:
                count = connection.execute("SELECT count(*) FROM item").get
                assert count == (place + 1 if cut == end else place)
                assert connection.execute("PRAGMA integrity_check").get == "ok"
            finally:
                connection.close()


def test_without_free_file_descriptors_a_worker_says_so_and_goes_on_when_there_are(tmp_path: Path) -> None:
    script = f"""
import resource
from pathlib import Path
from tests.support.writing import WriterBench, told
from tests.support.reading import Reading
from storage import StorageError
bench = WriterBench(Path({str(tmp_path)!r}))
bench.schema("CREATE TABLE item (id INTEGER PRIMARY KEY, data)")
bench.service._files.discard(bench.path())
reading = Reading(bench.path())
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (4, hard))
print(*told(bench.run(bench.write("INSERT INTO item VALUES (1, 2)"))))
try:
    reading.rows("SELECT * FROM item")
except StorageError as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(bench.run(bench.write("INSERT INTO item VALUES (1, 2)")), reading.rows("SELECT * FROM item"))
"""
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)  # noqa: S603
    refused, read, after = ran.stdout.splitlines()
    assert {refused, read} <= {"StorageError", "DatabaseNotFound"}, ran.stderr
    assert after == "[[1, 1]] [(1, 2)]"

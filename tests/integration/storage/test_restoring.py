"""A backup in the place of a database that may be damaged, by whoever may be killed at any step of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import apsw
import pytest

import storage
from storage import DatabaseCorrupt, DatabaseNotFound, StorageBusy, StorageError, StorageSettings
from tests.support.dying_steps import Dying
from tests.support.loops import ASYNCIO, on
from tests.support.restoring import NEW_COUNT, OLD_COUNT, make, placed, rows_count

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

anyio_backend = on(ASYNCIO)  # what happens to files happens in threads

SETTINGS = StorageSettings(kind="thread", worker_count=1)
MOST_STEPS_COUNT = 300
LIMIT_S = 50.0
aside = anyio.to_thread.run_sync
WAYS = pytest.mark.parametrize("way", ["alone", "served"])


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Whoever tries this has the loop for itself, and waits for processes on it."""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make(tmp_path)


async def restore(way: str, path: Path, source: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        if way == "alone":
            await storage.restore(source, path, SETTINGS)
            return
        async with storage.open_databases(path.parent, SETTINGS) as databases:
            restored = await databases.restore(path.stem, source)
            assert await restored.query("SELECT count(*) FROM note") == [(NEW_COUNT,)]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def overwrite(path: Path, offset: int, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(os.urandom(count))


def header_overwritten(path: Path) -> None:
    overwrite(path, 0, 200)
    path.with_name("shop.db-wal").unlink()


def header_of_a_later_format(path: Path) -> None:
    overwrite(path, 44, 4)
    path.with_name("shop.db-wal").unlink()


def cut_short(path: Path) -> None:
    os.truncate(path, 4096 * 3)
    path.with_name("shop.db-wal").unlink()


def cut_within_its_header(path: Path) -> None:
    os.truncate(path, 50)
    path.with_name("shop.db-wal").unlink()


def with_a_log_of_garbage(path: Path) -> None:
    overwrite(path.with_name("shop.db-wal"), 0, 20_000)


def with_a_log_cut_short(path: Path) -> None:
    os.truncate(path.with_name("shop.db-wal"), 9_000)


def garbage_with_a_sound_log(path: Path) -> None:
    overwrite(path, 0, path.stat().st_size)


DAMAGES = [
    header_overwritten,
    header_of_a_later_format,
    cut_short,
    cut_within_its_header,
    with_a_log_of_garbage,
    with_a_log_cut_short,
    garbage_with_a_sound_log,
]


@WAYS
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
async def test_a_database_is_restored_whatever_has_become_of_its_files(
    way: str, damage: Callable[[Path], None], made: Path, tmp_path: Path
) -> None:
    path = await aside(placed, made, tmp_path / "data")
    await aside(damage, path)
    await restore(way, path, tmp_path / "backup.db")
    assert await aside(rows_count, path) == NEW_COUNT
    assert await aside(names_in, path.parent) == ["shop.db"]


async def test_a_database_whose_damage_was_met_while_it_is_open_is_restored_and_goes_on(
    made: Path, tmp_path: Path
) -> None:
    path = await aside(placed, made, tmp_path / "data")
    with anyio.fail_after(LIMIT_S):
        async with storage.open_databases(path.parent, SETTINGS) as databases:
            shop = databases.get("shop")
            await shop.execute("DELETE FROM note WHERE id = 1")
            await aside(overwrite, path, 4096, 4096 * 40)
            with pytest.raises(DatabaseCorrupt):
                await shop.execute("UPDATE note SET text = text || 'x'")
            with pytest.raises(DatabaseCorrupt):
                await shop.query("SELECT sum(length(text)) FROM note")
            restored = await databases.restore("shop", tmp_path / "backup.db")
            await restored.execute("DELETE FROM note WHERE id = 1")
            assert await restored.query("SELECT count(*) FROM note") == [(NEW_COUNT - 1,)]
    assert await aside(rows_count, path) == NEW_COUNT - 1


def remove(path: Path) -> None:
    path.unlink()


async def test_a_log_without_its_database_does_not_get_into_one_that_is_restored(
    made: Path, tmp_path: Path
) -> None:
    path = await aside(placed, made, tmp_path / "data")
    await aside(remove, path)
    assert await aside(names_in, path.parent) == ["shop.db-shm", "shop.db-wal"]
    await restore("alone", path, tmp_path / "backup.db")
    assert await aside(rows_count, path) == NEW_COUNT


async def test_a_database_whose_file_somebody_removed_is_restored(made: Path, tmp_path: Path) -> None:
    path = await aside(placed, made, tmp_path / "data")
    with anyio.fail_after(LIMIT_S):
        async with storage.open_databases(path.parent, SETTINGS) as databases:
            await aside(remove, path)
            with pytest.raises(DatabaseNotFound):
                await databases.get("shop").query("SELECT 1")
            restored = await databases.restore("shop", tmp_path / "backup.db")
            assert await restored.query("SELECT count(*) FROM note") == [(NEW_COUNT,)]
    assert await aside(rows_count, path) == NEW_COUNT


@WAYS
async def test_whoever_kills_a_restore_at_whatever_step_leaves_the_old_database_or_the_new_one(
    way: str, made: Path, tmp_path: Path
) -> None:
    found = []
    with Dying("tests.support.dying_restore") as dying:
        for step in range(1, MOST_STEPS_COUNT):
            path = await aside(placed, made, tmp_path / "data")
            if await aside(dying.work, step, way, str(path), str(tmp_path / "backup.db"), None) == 0:
                break
            left = await aside(placed, path.parent, tmp_path / "left")
            found.append(await aside(rows_count, left))
            if step % 5 == 0:
                await restore(way, path, tmp_path / "backup.db")
                assert await aside(rows_count, path) == NEW_COUNT
                assert await aside(names_in, path.parent) == ["shop.db"]
    assert set(found) == {OLD_COUNT, NEW_COUNT}
    assert found == sorted(found, reverse=True)


@WAYS
async def test_a_restore_that_can_not_be_done_changes_nothing(way: str, made: Path, tmp_path: Path) -> None:
    path = await aside(placed, made, tmp_path / "data")
    source = tmp_path / "text.db"
    await aside(source.write_text, "no database at all" * 100)
    with pytest.raises(DatabaseCorrupt):
        await restore(way, path, source)
    with pytest.raises(DatabaseNotFound):
        await restore(way, path, tmp_path / "nothing.db")
    await aside(cut_within_its_header, source.with_name("shop") / "shop.db")
    with pytest.raises(StorageError):
        await storage.restore(tmp_path / "backup.db", path, SETTINGS, then=["UPDATE nothing SET a = 1"])
    assert await aside(rows_count, path) == OLD_COUNT
    assert await aside(names_in, path.parent) == ["shop.db"]


async def test_a_file_that_somebody_has_open_is_not_replaced(made: Path, tmp_path: Path) -> None:
    path = await aside(placed, made, tmp_path / "data")
    connection = await aside(apsw.Connection, str(path))
    await aside(lambda: connection.execute("SELECT count(*) FROM note").get)
    with pytest.raises(StorageBusy, match="in use"):
        await restore("alone", path, tmp_path / "backup.db")
    await aside(connection.close)
    assert await aside(rows_count, path) == OLD_COUNT


async def test_what_is_asked_while_a_restore_runs_is_of_one_of_the_two_or_told_to_ask_again(
    made: Path, tmp_path: Path
) -> None:
    path = await aside(placed, made, tmp_path / "data")
    seen: set[object] = set()
    with anyio.fail_after(LIMIT_S):
        async with storage.open_databases(path.parent, SETTINGS) as databases:

            async def ask() -> None:
                while True:
                    try:
                        ((count,),) = await databases.get("shop").query("SELECT count(*) FROM note")
                        seen.add(count)
                    except StorageBusy:
                        seen.add("busy")
                    await anyio.lowlevel.checkpoint()

            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(ask)
                for _ in range(20):
                    await databases.restore("shop", tmp_path / "backup.db")
                group.cancel_scope.cancel()
    assert seen <= {OLD_COUNT, NEW_COUNT, "busy"}
    assert NEW_COUNT in seen


async def test_a_restore_that_is_cancelled_leaves_readers_and_writers_with_one_file(
    made: Path, tmp_path: Path
) -> None:
    path = await aside(placed, made, tmp_path / "data")
    with anyio.fail_after(LIMIT_S):
        async with storage.open_databases(path.parent, SETTINGS) as databases:
            maintain = type(databases.get("shop")).maintain
            assert await databases.get("shop").query("SELECT count(*) FROM note") == [(OLD_COUNT,)]
            with anyio.CancelScope() as scope, pytest.MonkeyPatch.context() as patch:

                async def cancelled(*arguments: object) -> None:
                    scope.cancel()
                    await maintain(*arguments)  # type: ignore[arg-type]  # as it was called

                patch.setattr(type(databases.get("shop")), "maintain", cancelled)
                await databases.restore("shop", tmp_path / "backup.db")
            shop = databases.get("shop")
            await shop.execute("DELETE FROM note WHERE id = 1")
            ((count,),) = await shop.query("SELECT count(*) FROM note")
            assert count == NEW_COUNT - 1
    assert await aside(names_in, path.parent) == ["shop.db"]

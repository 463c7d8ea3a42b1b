"""A foreign SQLite file into a folder of databases, by a worker that lives as long as the copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.file_keys import CopyKeys
from storage.keys import key_for
from workers import PoolSettings, open_pool

if TYPE_CHECKING:
    from pathlib import Path

    from storage.file_keys import Key
    from storage.settings import StorageSettings

_MAX_COPY_S = 6 * 3_600.0


async def copy_database(source: Path, target: Path, settings: StorageSettings, *, key: Key | None) -> int:
    """Copy the SQLite file `source` to `target`, which appears whole or not at all, and return its bytes.

    The copy gets the key; the source is in the clear, or has this key or the one given for a file of its name.

    It runs in a worker of its own even with `use_workers` off: a copy is no query, and nobody waits behind it.

    Raises:
        DatabaseExists: There is a file `target`.
        DatabaseNotFound: `source` cannot be opened.
        DatabaseCorrupt: `source` is no SQLite database, or a damaged one.
        WrongKey: `source` is encrypted with another key.
        StorageFull: No space for the copy.
    """
    pool_settings = PoolSettings(
        kind=settings.kind, worker_count=1, default_timeout_s=_MAX_COPY_S, max_run_s=_MAX_COPY_S
    )
    keys = CopyKeys(source=await key_for(settings, source, otherwise=key), target=key)
    service, options = "storage.sqlite.imports:CopyService", {"copy_keys": keys}
    async with open_pool(service, options, pool_settings, name="copier") as pool:
        size_bytes: int = await pool.call("copy", [str(source), str(target)])
        return size_bytes

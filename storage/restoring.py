"""A database file that nobody has open out of a backup: whole and checked, or as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from storage.databases import open as open_database
from storage.errors import StorageError
from storage.imports import copy_database
from storage.keys import key_for
from storage.sqlite import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from storage.settings import StorageSettings

_SUFFIX = ".restoring"


async def restore(source: Path, path: Path, settings: StorageSettings, *, then: Sequence[str] = ()) -> int:
    """Put a copy of the backup `source` in the place of the file `path`, and return its bytes; it is on the disk then.

    What the file holds is lost, if there is one. The copy gets its key, and a new history for those who follow changes.
    `then` are statements that are run in the copy before it takes the place. Killed, it leaves the old file as it was or
    the new one; in the very last step, though, the old one may have lost its log: then it is to be done again.

    Raises:
        DatabaseNotFound: `source` can't be opened.
        DatabaseCorrupt: It is no database, or a damaged one.
        WrongKey, EncryptionUnavailable: It is encrypted with another key than is given for `path`, or none can be had.
        StorageFull: No space for the copy.
        StorageError: A statement can't be run in it; `path` is as it was.
    """
    unfinished = path.with_name(path.name + _SUFFIX)
    await anyio.Path(unfinished).unlink(missing_ok=True)  # of one that was killed
    try:
        size_bytes = await copy_database(source, unfinished, settings, key=await key_for(settings, path))
        if then:
            keys = {unfinished.name: settings.keys[path.name]} if path.name in settings.keys else {}
            async with open_database(unfinished, replace(settings, keys=keys)) as copy:
                await copy.execute_batch([(each, ()) for each in then])
        await anyio.to_thread.run_sync(_take_place, unfinished, path)
    finally:
        for suffix in ("", "-wal", "-shm"):
            await anyio.Path(f"{unfinished}{suffix}").unlink(missing_ok=True)
    return size_bytes


def _take_place(unfinished: Path, path: Path) -> None:
    log = unfinished.with_name(unfinished.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise StorageError("the copy could not be brought to its end; nothing was changed")
    if not path.exists():
        files.make_empty(str(path))
    files.replace(str(path), str(unfinished))

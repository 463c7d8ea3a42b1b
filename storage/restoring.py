"""A backup in the place of a database: whole and checked, or what was there is as it was."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from storage.imports import copy_database
from storage.keys import with_file_key
from storage.sqlite.imports import remove_unfinished
from storage.sqlite.lone_files import take_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from storage.file_keys import Key
    from storage.settings import StorageSettings

_SUFFIX = ".restoring"


async def restore(source: Path, path: Path, settings: StorageSettings, *, then: Sequence[str] = ()) -> int:
    """Put a copy of the backup `source` in the place of the file `path`, and return its bytes; it is on the disk then.

    What the file holds is lost, if there is one; it may be damaged, and have any key. The copy has the key that is given for
    a file of the name of `path`, and a new history for those who follow changes. `then` are statements that are run in the
    copy before it takes the place. Killed, this leaves the old file with all that it held, or the new one: but of a file
    that can't be read, the log that lies beside it may be gone.

    Raises:
        DatabaseNotFound: `source` can't be opened.
        DatabaseCorrupt: It is no database, or a damaged one.
        WrongKey, EncryptionUnavailable: It is encrypted with another key than is given for `path`, or none can be had.
        StorageBusy: Somebody has `path` open.
        StorageFull: No space for the copy.
        StorageError: A statement can't be run in it. Whatever is raised, `path` is as it was.
    """
    key = (await with_file_key(settings, path)).file_keys.of(str(path))
    async with copied_beside(source, path, settings, key=key, then=then) as copy:
        await anyio.to_thread.run_sync(take_place, str(path), str(copy), key)
    return (await anyio.Path(path).stat()).st_size


@asynccontextmanager
async def copied_beside(
    source: Path, path: Path, settings: StorageSettings, *, key: Key | None, then: Sequence[str] = ()
) -> AsyncIterator[Path]:
    """Have a checked copy of `source` that may take the place of `path`; what does not is gone afterwards.

    Raises:
        StorageError: As `copy_database`.
    """
    copy = path.with_name(path.name + _SUFFIX)
    await anyio.to_thread.run_sync(remove_unfinished, copy)  # of one that was killed
    try:
        await copy_database(source, copy, settings, key=key, then=then)
        yield copy
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(remove_unfinished, copy)

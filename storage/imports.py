"""A foreign SQLite file into a folder of databases, by a worker that lives as long as the copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.backups import copied
from storage.file_keys import CopyKeys
from storage.keys import key_for
from storage.sqlite.copying_in import CopiedIn, CopyInParams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from storage.file_keys import Key
    from storage.settings import StorageSettings

_SERVICE = "storage.sqlite.copying_in:CopyInService"


async def copy_database(
    source: Path, target: Path, settings: StorageSettings, *, key: Key | None, then: Sequence[str] = ()
) -> int:
    """Copy the SQLite file `source` to `target`, which appears whole or not at all, and return its bytes.

    The copy gets the key; the source is in the clear, or has this key or the one given for a file of its name. `then` are
    statements that are run in the copy first.

    It runs in a worker of its own even with `use_workers` off: a copy is no query, and nobody waits behind it.

    Raises:
        DatabaseExists: There is a file `target`.
        DatabaseNotFound: `source` can't be opened.
        DatabaseCorrupt: `source` is no SQLite database, or a damaged one.
        WrongKey: `source` is encrypted with another key.
        StorageFull: No space for the copy.
        StorageError: It was not made.
    """
    keys = CopyKeys(source=await key_for(settings, source, otherwise=key), target=key)
    params = CopyInParams(source=str(source), target=str(target), keys=keys, then=list(then))
    made = await copied("copy_in", params, CopiedIn, settings, None, service=_SERVICE)
    return made.size_bytes

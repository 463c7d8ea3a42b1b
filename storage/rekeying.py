"""Another key for a database file that nobody has open, made by a worker of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.backups import copied
from storage.keys import key_from
from storage.sqlite.rekeying import Rekeyed, RekeyParams

if TYPE_CHECKING:
    from pathlib import Path

    from storage.backups import OnProgress
    from storage.settings import StorageSettings
    from workers import KeySource

_SERVICE = "storage.sqlite.rekeying:RekeyService"


async def rekey(
    path: Path,
    settings: StorageSettings,
    *,
    old: KeySource | None,
    new: KeySource | None,
    on_progress: OnProgress | None = None,
) -> Rekeyed:
    """Give the database file `path` the key `new` instead of `old`; None is for a file in the clear.

    Killed, it leaves the file with one of the two keys, whole, and may be asked again. Nobody may have the file open.

    Raises:
        DatabaseNotFound: There is no such file.
        DatabaseCorrupt: It is no database, or damaged.
        WrongKey: Neither key opens it.
        EncryptionUnavailable: A key can't be had, or this build of apsw can't encrypt.
        StorageBusy: Somebody has it open.
        StorageFull, StorageError: The disk takes no copy; the file is as it was.
    """
    params = RekeyParams(
        path=str(path),
        old=None if old is None else await key_from(old, path.name),
        new=None if new is None else await key_from(new, path.name),
    )
    return await copied("rekey", params, Rekeyed, settings, on_progress, service=_SERVICE)

"""How storage is opened: one file, or a folder of them, with workers of its own.

Paths are made absolute first. Workers that are started later would look for a relative one in the working directory of
then, and SQLite takes `:memory:` by itself for no file at all.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from storage.databases import Databases, names_in
from storage.keys import with_file_key, with_folder_keys
from storage.pools import open_pools
from storage.settings import StorageSettings

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator

    from storage.database import Database

_MAY_EXIST = True


@asynccontextmanager
async def open(  # noqa: A001 - it reads as storage.open, like io.open
    path: str | os.PathLike[str],
    settings: StorageSettings | None = None,
    *,
    migrations: str | None = None,
) -> AsyncIterator[Database]:
    """Open one database file, making it if it is not there, with a pool of its own.

    `migrations` names a package whose numbered .sql files are applied first.

    Raises:
        DatabaseCorrupt: The file is no database, or a damaged one.
        MigrationFailed: A migration broke; the ones before it stay.
        WrongKey, EncryptionUnavailable: A key is given for a file of its name (`StorageSettings.keys`).
        StorageError: It can't be opened.
    """
    place = Path(await anyio.Path(path).absolute())
    settings = await with_file_key(settings or StorageSettings(), place)
    async with open_pools(settings) as pools:
        database = pools.database(place)
        await database.maintain("create", _MAY_EXIST)
        if migrations is not None:
            await database.migrate(migrations)
        await database.query_one("SELECT count(*) FROM sqlite_schema")  # what is no database is told now
        yield database


@asynccontextmanager
async def open_databases(
    folder: str | os.PathLike[str], settings: StorageSettings | None = None
) -> AsyncIterator[Databases]:
    """Open a folder of databases, making it if it is not there; this process must be its only owner.

    Raises:
        EncryptionUnavailable: A key can't be had, or this build of apsw can't encrypt.
        StorageError: The workers can't start.
        OSError: The folder can't be made or looked into.
    """
    place = Path(await anyio.Path(folder).absolute())
    settings = await with_folder_keys(settings or StorageSettings(), place)
    await anyio.Path(place).mkdir(parents=True, exist_ok=True)
    names = await names_in(place)
    async with open_pools(settings, folder=place) as pools:
        yield Databases(place, pools, settings, names)

"""Many named databases over one pool of readers and one pool of writers.

A database is a file `NAME.db`. Its name is used again after a drop by another file, so each file has a generation: a
worker whose open connection is of an older one opens the file anew. One process owns a folder (the server's lock is
above this layer), which is why the names can be held in memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from storage.errors import DatabaseExists, DatabaseNotFound, InvalidDatabaseName
from storage.imports import copy_database
from storage.restoring import copied_beside

if TYPE_CHECKING:
    import os

    from storage.database import Database
    from storage.file_keys import Key
    from storage.pools import Pools
    from storage.reports import StorageReport
    from storage.settings import StorageSettings
    from storage.statistics import StorageStatistics

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SUFFIX = ".db"
_COUNT_TABLES = """
SELECT count(*) FROM pragma_table_list
WHERE schema = 'main' AND type IN ('table', 'virtual') AND substr(name, 1, 7) <> 'sqlite_'
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseInfo:
    """A database as it stands."""

    name: str
    size_bytes: int
    wal_bytes: int
    """Of the write-ahead log beside the file."""
    table_count: int
    """SQLite's own tables are not counted."""


class Databases:
    """The databases of a folder; made by `open_databases`, usable until that is left."""

    def __init__(self, folder: Path, pools: Pools, settings: StorageSettings, names: list[str]) -> None:
        self._folder = folder
        self._pools = pools
        self._settings = settings
        self._generations = count(1)
        self._held = {name: self._database(name) for name in names}
        self._reserved: set[str] = set()

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self._folder

    @property
    def settings(self) -> StorageSettings:
        """How they were opened."""
        return self._settings

    def names(self) -> list[str]:
        """Return the names in order."""
        return sorted(self._held)

    def get(self, name: str) -> Database:
        """Return the database `name`; nothing is opened by this.

        Raises:
            InvalidDatabaseName: It can be no name.
            DatabaseNotFound: There is no such database.
        """
        held = self._held.get(name)
        if held is not None:
            return held
        _require_name(name)
        raise DatabaseNotFound(f"there is no database {name!r}")

    async def create(self, name: str) -> Database:
        """Make an empty database and return it; its file is on disk when this returns.

        Cancelled, it is made all the same, or was not begun.

        Raises:
            InvalidDatabaseName: It can be no name.
            DatabaseExists: There is one of that name, or one is being made; a file that came from elsewhere is known from
                then on.
            StorageError: As `Database.execute`.
        """
        self._reserve(name)
        try:
            database = self._database(name)
            with anyio.CancelScope(shield=True):  # or there would be a file that nobody knows
                try:
                    await database.maintain("create")
                finally:
                    await self._know(database)
        finally:
            self._reserved.discard(name)
        return database

    async def copy_in(self, name: str, source: Path) -> Database:
        """Make the database `name` a copy of the SQLite file `source`, whole or not at all.

        Raises:
            InvalidDatabaseName, DatabaseExists: As `create`.
            DatabaseNotFound: `source` can't be opened.
            DatabaseCorrupt: `source` is no SQLite database, or a damaged one.
            WrongKey: `source` is encrypted, with another key than is given for it or for `name`.
            StorageFull: No space for the copy.
        """
        self._reserve(name)
        try:
            database = self._database(name)
            try:
                await copy_database(source, self._path(name), self._settings, key=self._key(name))
            finally:
                with anyio.CancelScope(shield=True):
                    await self._know(database)
        finally:
            self._reserved.discard(name)
        return database

    async def restore(self, name: str, source: Path) -> Database:
        """Put a copy of the SQLite file `source` in the place of the database `name`, whole or not at all; return it.

        What the database held is lost, be it damaged; reads under way end on it, later ones see the new one, and who asks
        in the moment between is told that it is busy. The new one is on the disk when this returns. Cancelled, this leaves
        the one or the other, whole; so it does killed, but of a file that can't be read the log may be gone.

        Raises:
            InvalidDatabaseName, DatabaseNotFound: As `get`; or `source` can't be opened.
            DatabaseCorrupt: `source` is no SQLite database, or a damaged one; nothing has changed.
            WrongKey: `source` is encrypted, with another key than is given for it or for `name`; nothing has changed.
            StorageBusy: Somebody reads the database for long; nothing has changed, try again.
            StorageError: As `Database.execute`.
        """
        old = self.get(name)
        self._reserve(name, is_there=True)
        try:
            async with copied_beside(source, self._path(name), self._settings, key=self._key(name)) as copy:
                with anyio.CancelScope(shield=True):  # or readers would stay with a file that is gone
                    await self._give_way(old, copy)
        finally:
            self._reserved.discard(name)
        return self._held[name]

    async def _give_way(self, old: Database, copy: Path) -> None:
        # first, or a call that comes meanwhile would open the file again
        old.is_dropped = old.gives_way = True
        try:
            await old.maintain("replace", str(copy))
        finally:
            if await anyio.Path(copy).exists():
                old.is_dropped = False
            else:
                self._held[old.name] = self._database(old.name)
                old.change_log.stir()  # whoever follows it is told that it is gone
            old.gives_way = False

    async def drop(self, name: str) -> None:
        """Delete the database `name` with its files; reads under way end on what they have begun with.

        Cancelled, it is deleted all the same.

        Raises:
            InvalidDatabaseName, DatabaseNotFound: As `get`; or somebody removed the file by hand.
            StorageError: As `Database.execute`; the database is still there.
            WriteOutcomeUnknown: It is there still if `names` tells it.
        """
        database = self.get(name)
        self._reserve(name, is_there=True)
        try:
            database.is_dropped = True  # first, or a call that comes meanwhile would open the file again
            with anyio.CancelScope(shield=True):  # or readers would stay with a file that is gone
                try:
                    await database.maintain("drop")
                finally:
                    await self._know(database)
        finally:
            self._reserved.discard(name)

    async def _know(self, database: Database) -> None:
        """Hold a database that was to be made or dropped if its file is there, and not if it is not."""
        if await anyio.Path(self._path(database.name)).exists():
            database.is_dropped = False
            self._held[database.name] = database
        elif self._held.pop(database.name, None) is not None:
            database.is_dropped = True
            database.change_log.stir()  # whoever follows it is told

    def wake_followers(self) -> None:
        """Have whoever waits for changes look up, in whichever database; a server that stops does so."""
        for database in self._held.values():
            database.change_log.stir()

    async def describe(self, name: str) -> DatabaseInfo:
        """Return what the database `name` is like.

        Raises:
            InvalidDatabaseName, DatabaseNotFound: As `get`.
            StorageError: As `Database.query`.
        """
        found = await self.get(name).query_one(_COUNT_TABLES)
        return DatabaseInfo(
            name=name,
            size_bytes=await _size_bytes(self._path(name)),
            wal_bytes=await _size_bytes(f"{self._path(name)}-wal"),
            table_count=found[0] if found else 0,
        )

    async def use_workers(self, use_workers: bool) -> None:
        """Have workers run SQL, or the event loop, from now on; calls under way end where they are, and none fails.

        Raises:
            StorageUnavailable: The workers can't start; nothing has changed.
            StorageSaturated: What earlier changes left behind is not done yet; nothing has changed, ask again.
            StorageClosed: The storage closes.
        """
        await self._pools.use_workers(use_workers)

    def statistics(self) -> StorageStatistics:
        """Return how the pools stand."""
        return self._pools.statistics()

    async def report(self) -> StorageReport:
        """Return how the pools stand, and the log of each database that is open for writing, by its name."""
        found = await self._pools.report()
        logs = {Path(path).name.removesuffix(_SUFFIX): facts for path, facts in found.logs.items()}
        return replace(found, logs=logs)

    def _database(self, name: str) -> Database:
        return self._pools.database(self._path(name), name=name, generation=next(self._generations))

    def _key(self, name: str) -> Key | None:
        return self._settings.file_keys.of(str(self._path(name)))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _reserve(self, name: str, *, is_there: bool = False) -> None:
        _require_name(name)
        if name in self._reserved or (not is_there and name in self._held):
            raise DatabaseExists(f"there is a database {name!r}, or one is being made or dropped")
        self._reserved.add(name)


async def names_in(folder: Path) -> list[str]:
    """Return the names of the databases that lie in `folder`, in no order."""
    return [
        found.name.removesuffix(_SUFFIX)
        async for found in anyio.Path(folder).glob(f"*{_SUFFIX}")
        if _NAME.fullmatch(found.name.removesuffix(_SUFFIX))
    ]


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidDatabaseName(
            f"{name!r} can't name a database; 1 to 63 of a-z, 0-9, _ and - can, beginning with a letter or digit"
        )


async def _size_bytes(path: str | os.PathLike[str]) -> int:
    try:
        return (await anyio.Path(path).stat()).st_size
    except FileNotFoundError:
        return 0

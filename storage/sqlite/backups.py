"""Copies of a database while it is written, and the check that a file is sound; run in a worker of its own.

A copy is of one state (`fill_copy`), behind which the write-ahead log can't be cut meanwhile. Steps of 4 MiB let a stop
be heard and progress be told.

The copy is one file, without a log beside it, written to the disk before it gets its name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import msgspec

from storage.errors import DatabaseExists, StorageError, StorageFull
from storage.file_keys import CopyKeys, Key
from storage.sqlite import files
from storage.sqlite.connection import prepare_library
from storage.sqlite.errors import translated, translation
from storage.sqlite.imports import (
    fill_copy,
    opened_copy,
    opened_for_reading,
    place_unfinished,
    refuse_damage,
    remove_unfinished,
    write_to_disk,
)
from workers import MethodService, Task, method

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS_BETWEEN_LOOKS = 100_000
MAX_COMPLAINTS_COUNT = 100

_SUFFIX = ".unfinished"


class BackupParams(msgspec.Struct, frozen=True):
    """What to copy, and to where; both are paths."""

    source: str
    target: str
    key: Key | None = None
    """Of both."""


class BackupMade(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that is on the disk."""

    size_bytes: int
    page_count: int
    seconds: float


class VerifyParams(msgspec.Struct, frozen=True):
    """Which file to check."""

    path: str
    key: Key | None = None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What the check of a database found."""

    is_sound: bool
    """SQLite's integrity check and the foreign keys have no complaint."""
    complaints: list[str]
    """At most a hundred."""
    table_counts: dict[str, int]
    """How many rows each table has."""
    size_bytes: int


class BackupService(MethodService):
    """Copies and checks database files."""

    @method()
    def backup(self, params: BackupParams, task: Task) -> BackupMade:
        """Copy `source`, as it is now, to `target`, which appears whole or not at all.

        Raises:
            DatabaseExists: There is a file `target`, or the log of one that was, which would be taken for the copy's.
            DatabaseNotFound: `source` can't be opened.
            DatabaseCorrupt: `source` is no database, or the copy is not sound.
            StorageFull: No space for it.
            StorageError: The folder does not take it.
        """
        began = time.monotonic()
        final = Path(params.target)
        for there in (final, *(final.with_name(final.name + suffix) for suffix in files.REPLAYED)):
            if there.exists():
                raise DatabaseExists(f"there is a file {there.name!r} already")
        unfinished = final.with_name(final.name + _SUFFIX)
        with translated(), disk_translated(), alone_on(unfinished):
            try:
                prepare_library()
                source, key = opened_for_reading(params.source, params.key)
                try:
                    place_unfinished(unfinished)
                    page_count = _copied(source, unfinished, key, task)
                finally:
                    source.close()
                write_to_disk(unfinished)
                os.link(unfinished, final)  # not over a file that came meanwhile
                write_to_disk(final.parent)
            finally:
                remove_unfinished(unfinished)
        return BackupMade(
            size_bytes=final.stat().st_size, page_count=page_count, seconds=round(time.monotonic() - began, 3)
        )

    @method()
    def verify(self, params: VerifyParams, task: Task) -> Verified:
        """Check the whole of a database, which others may write meanwhile.

        Raises:
            DatabaseNotFound: It can't be opened.
            DatabaseCorrupt: It is no database.
        """
        with translated():
            prepare_library()
            connection, _ = opened_for_reading(params.path, params.key)
            try:
                connection.execute("BEGIN")
                with stopped_with(connection, task):
                    complaints = list(_complaints(connection))
                    counts = {} if complaints else dict(_counts(connection, task))
            finally:
                connection.close()
        return Verified(
            is_sound=not complaints,
            complaints=complaints,
            table_counts=counts,
            size_bytes=Path(params.path).stat().st_size,
        )


def _copied(source: apsw.Connection, unfinished: Path, key: Key | None, task: Task) -> int:
    """Copy the state of now and return its number of pages."""
    page_count = fill_copy(
        source, unfinished, CopyKeys(source=key, target=key), lambda *far: tell(task, *far)
    )
    copy = opened_copy(unfinished, key)
    try:
        with stopped_with(copy, task):
            refuse_damage(copy)
        copy.pragma("journal_mode", "delete")  # so that it is one file
    finally:
        copy.close()
    return page_count


def tell(task: Task, done_count: int, total_count: int) -> None:
    """Tell how far a copy is, if that is known; raise if it is no longer wanted."""
    task.check()
    if total_count:
        task.progress(done_count, total_count)


@contextmanager
def alone_on(unfinished: Path) -> Iterator[None]:
    """Keep a second copy to the same place out: each would take the other's half for its own.

    Raises:
        DatabaseExists: One is being made.
    """
    lock = unfinished.with_name(unfinished.name + "-lock")
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        if not _is_taken(lock, descriptor):
            raise DatabaseExists(f"a copy to {unfinished.name.removesuffix(_SUFFIX)!r} is being made")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_taken(lock: Path, descriptor: int) -> bool:
    """Take the lock, and return whether it is ours: neither held, nor removed by one that has ended just now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


@contextmanager
def disk_translated() -> Iterator[None]:
    """Turn what the disk says into storage's errors."""
    try:
        yield
    except FileExistsError as error:
        raise DatabaseExists("a file of that name came meanwhile") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("there is no space for the copy") from error
        raise StorageError(f"the copy can't be put there: {os.strerror(error.errno or 0)}") from error


@contextmanager
def stopped_with(connection: apsw.Connection, task: Task) -> Iterator[None]:
    """Let the task's end be heard while SQLite works on `connection`."""

    def look() -> bool:
        task.check()
        return False

    connection.set_progress_handler(look, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        connection.set_progress_handler(None)


def _complaints(connection: apsw.Connection) -> Iterator[str]:
    try:
        for (line,) in connection.execute(f"PRAGMA integrity_check({MAX_COMPLAINTS_COUNT})"):
            if line != "ok":
                yield line
    except apsw.CorruptError as error:
        yield str(translation(error) or error)
        return
    for count, (table, rowid, parent, _) in enumerate(connection.execute("PRAGMA foreign_key_check")):
        if count >= MAX_COMPLAINTS_COUNT:
            return
        yield f"row {rowid} of {table} refers to a row of {parent} that is not there"


def _counts(connection: apsw.Connection, task: Task) -> Iterator[tuple[str, int]]:
    sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    names = [name for (name,) in connection.execute(sql)]
    for place, name in enumerate(sorted(names)):
        task.check()
        quoted = '"' + name.replace('"', '""') + '"'
        yield name, connection.execute(f"SELECT count(*) FROM {quoted}").get  # noqa: S608 - quoted
        task.progress(place + 1, len(names))

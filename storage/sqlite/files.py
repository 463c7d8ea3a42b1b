"""A database's file appears and disappears as a whole, also when the machine stops in the middle.

A new file is empty until its writer has put it into WAL mode, and an empty file is a valid, empty database: a crash
between the two leaves one of those. The folder is synced, since a file without an entry on the disk is lost with all
that was acknowledged in it.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import DatabaseExists, DatabaseNotFound, StorageError, StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLAYED = ("-wal", "-journal")
"""What SQLite takes for the file's own, and writes into it, whatever file it was of."""
_COMPANIONS = (*REPLAYED, "-shm")


def make_empty(path: str) -> None:
    """Make the empty file `path`, durably, and clear away what an earlier one of that name left beside it.

    Raises:
        DatabaseExists: There is a file `path`.
        StorageFull: No space for it.
        StorageError: The folder does not take it.
    """
    with _translated():
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        for suffix in _COMPANIONS:
            Path(path + suffix).unlink(missing_ok=True)
        _sync_folder(path)


def remove(path: str) -> None:
    """Remove the file `path` and what belongs to it; no connection of this process may have it open.

    Raises:
        DatabaseNotFound: There is none.
        StorageError: The folder does not give it up.
    """
    with _translated():
        Path(path).unlink()
        for suffix in _COMPANIONS:
            Path(path + suffix).unlink(missing_ok=True)
        _sync_folder(path)


def replace(path: str, by: str) -> None:
    """Put the file `by` in the place of the file `path`, if there is one; on return it is on the disk under that name.

    Whoever kills this leaves the old file or the new one, and nothing of the old one's log is ever taken for the new one's.
    An old log that holds something goes first, so what is to be kept of it has to be in its file before. An empty one, and
    the memory that readers share, go last: whoever still opens the old file meanwhile would leave its own for the new one.
    No connection may write either.

    Raises:
        DatabaseNotFound: There is no file `by`; nothing was changed.
        StorageError: The folder does not take it.
    """
    with _translated():
        Path(by).stat()
        given_up = [Path(path + suffix) for suffix in REPLAYED if _holds_something(path + suffix)]
        for each in given_up:
            each.unlink()
        if given_up:
            _sync_folder(path)
        Path(by).replace(path)
        for suffix in _COMPANIONS:
            Path(path + suffix).unlink(missing_ok=True)
        _sync_folder(path)


def _holds_something(path: str) -> bool:
    try:
        return Path(path).stat().st_size > 0
    except FileNotFoundError:
        return False


def _sync_folder(path: str) -> None:
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise DatabaseExists("a database of that name is there already") from error
    except FileNotFoundError as error:
        raise DatabaseNotFound("there is no such database") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("the disk is full") from error
        raise StorageError("the disk refused the file") from error

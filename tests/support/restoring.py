"""A database with rows that lie in its log, a backup of an earlier state, and what there is after somebody restored it."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw

from storage.file_keys import Key
from storage.sqlite.encryption import unlock

OLD_COUNT = 300
NEW_COUNT = 100
_ADD = (
    "INSERT INTO note(text) WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?)"
    " SELECT ? || i || hex(randomblob(100)) FROM n"
)


def rows_count(path: Path, key: Key | None = None) -> int:
    """Return how many rows there are, the file being sound; what opens it opens it as our own connections do.

    Raises:
        AssertionError: It is not.
        apsw.Error: It can't be read.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        unlock(connection, key)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(connection.execute("SELECT count(*) FROM note").get)
    finally:
        connection.close()


def placed(made: Path, place: Path) -> Path:
    """Put the database in the folder `made` into the folder `place`, in place of whatever is there; return its file."""
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(made, place)
    return place / "shop.db"


def make(folder: Path, key: Key | None = None) -> Path:
    """Make `folder/shop/shop.db`, a third of its rows in a log beside it, and `folder/backup.db`; return the former's folder."""
    made, work = folder / "shop", folder / "work.db"
    made.mkdir(parents=True)
    connection = apsw.Connection(str(work))
    unlock(connection, key)
    connection.pragma("journal_mode", "wal")
    connection.wal_autocheckpoint(0)
    connection.execute("CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT)")
    connection.execute(_ADD, (NEW_COUNT, "first"))
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    shutil.copy(work, folder / "backup.db")
    connection.execute(_ADD, (OLD_COUNT - 2 * NEW_COUNT, "second"))
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.execute(_ADD, (NEW_COUNT, "third"))
    for suffix in ("", "-wal", "-shm"):  # as of a process that was killed
        shutil.copy(f"{work}{suffix}", made / f"shop.db{suffix}")
    connection.close()
    work.unlink()
    return made

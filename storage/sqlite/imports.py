"""How a database file is copied page by page, or written anew, under a name of its own beside its place.

The steps of every copy: a backup, a database that is copied in or restored, one that gets another key. Each makes an
unfinished file, checks it, has the disk write it (`fsync`), and only then gives it its name; a crash leaves a file that
the next copy of that name replaces.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import apsw

from storage.errors import DatabaseCorrupt, DatabaseNotFound
from storage.sqlite.encryption import CIPHER, OpensWithout, as_pragma, unlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.file_keys import CopyKeys, Key

_PAGES_A_STEP = 1_000
_BUSY_TIMEOUT_MS = 5_000
_STEPS_BETWEEN_LOOKS = 100_000


def opened_for_reading(source: str, key: Key | None = None) -> tuple[apsw.Connection, Key | None]:
    """Open a file that is not ours, and return with which key; one in the clear needs none, though one is given.

    One in WAL mode that we may not write beside is read as it lies there.
    """
    if not Path(source).is_file():
        raise DatabaseNotFound("the file cannot be opened")
    try:
        return _opened(source, "mode=ro", key), key
    except OpensWithout:
        return opened_for_reading(source)
    except apsw.CantOpenError:
        if Path(f"{source}-wal").exists():
            raise
        return _opened(source, "mode=ro&immutable=1", key), key


def _opened(source: str, options: str, key: Key | None) -> apsw.Connection:
    connection = apsw.Connection(
        f"file:{quote(source)}?{options}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    try:
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        unlock(connection, key)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def opened_copy(unfinished: Path, key: Key | None) -> apsw.Connection:
    """Open a copy of ours that is being made; it is not on the disk before `write_to_disk`."""
    copy = apsw.Connection(str(unfinished), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        unlock(copy, key)
        copy.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        copy.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        copy.pragma("synchronous", "off")
    except BaseException:
        copy.close()
        raise
    return copy


def fill_copy(
    origin: apsw.Connection, unfinished: Path, keys: CopyKeys, on_step: Callable[[int, int], object]
) -> int:
    """Copy the state that `origin` sees to the empty file `unfinished`, and return the number of pages.

    It is held in a read transaction until `origin` is closed: the writes of others neither get into the copy nor make
    SQLite begin anew, as its backup would otherwise do at each of them. `on_step` is told pages done and their total after each 4 MiB, and may raise to stop it. Between a file in the clear and
    an encrypted one nothing but the rows can be copied, as a seal takes room in each page: SQLite then writes the copy anew,
    and the total is told as 0.
    """
    if (keys.source is None) != (keys.target is None):
        return _written_anew(origin, unfinished, keys.target, on_step)
    origin.execute("BEGIN")
    origin.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # BEGIN alone holds nothing yet
    copy = opened_copy(unfinished, keys.target)
    try:
        with copy.backup("main", origin, "main") as backup:
            while not backup.done:
                on_step(backup.page_count - backup.remaining, backup.page_count)
                backup.step(_PAGES_A_STEP)
            page_count = backup.page_count
        on_step(page_count, page_count)
    finally:
        copy.close()
    return page_count


def _written_anew(
    origin: apsw.Connection, unfinished: Path, key: Key | None, on_step: Callable[[int, int], object]
) -> int:
    sealing = "key=" if key is None else f"cipher={CIPHER}&key={as_pragma(key)}"
    origin.set_progress_handler(lambda: bool(on_step(0, 0)), _STEPS_BETWEEN_LOOKS)
    try:
        origin.execute("VACUUM INTO ?", (f"file:{quote(str(unfinished))}?{sealing}",))
    finally:
        origin.set_progress_handler(None)
    copy = opened_copy(unfinished, key)
    try:
        return int(copy.pragma("page_count"))
    finally:
        copy.close()


def refuse_damage(copy: apsw.Connection) -> None:
    """Check a copy that is being made.

    Raises:
        DatabaseCorrupt: It is damaged, as what it was made of must be.
    """
    complaint = copy.execute("PRAGMA quick_check(1)").get
    if complaint != "ok":
        raise DatabaseCorrupt(f"the copy is damaged, as its source must be: {complaint}")


def write_to_disk(path: Path) -> None:
    """Have the disk write a file, or the entries of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place_unfinished(unfinished: Path) -> None:
    """Make an empty file that its user alone may read, in place of what an earlier copy left."""
    remove_unfinished(unfinished)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def remove_unfinished(unfinished: Path) -> None:
    """Remove a copy that did not come to its end."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)

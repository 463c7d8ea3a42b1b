"""A foreign SQLite file becomes a database of ours: copied while it may be in use, checked, and there whole or not at all.

The copy is made beside its place under another name, with the disk told to write it (`fsync`) before it gets its own;
a crash leaves a file that the next copy of that name replaces. It runs in a worker of its own: a copy takes seconds
a gigabyte, and the writer of all databases must not wait for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import apsw
import msgspec

from storage.errors import DatabaseCorrupt, DatabaseExists, DatabaseNotFound
from storage.file_keys import NO_KEYS, CopyKeys
from storage.sqlite.changes import begin_new_history
from storage.sqlite.connection import prepare_library
from storage.sqlite.encryption import CIPHER, OpensWithout, as_pragma, unlock
from storage.sqlite.errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.file_keys import Key
    from workers import Call

_PAGES_A_STEP = 1_000
_BUSY_TIMEOUT_MS = 5_000
_STEPS_BETWEEN_LOOKS = 100_000
_SUFFIX = ".importing"


class CopyStopped(Exception):
    """The copy was told to stop; nothing of it is left."""


def copy_database(source: str, target: str, *, keys: CopyKeys = NO_KEYS, stop: Flag | None = None) -> int:
    """Copy the SQLite file `source` to `target`, in WAL mode, and return its bytes.

    A source in the clear is taken as it is, though a key is given for it. Changes that others commit to `source` meanwhile are in the copy or not, as a whole.

    Raises:
        DatabaseExists: There is a file `target`.
        DatabaseNotFound: `source` cannot be opened.
        DatabaseCorrupt: `source` is no SQLite database, or a damaged one.
        WrongKey: `source` is encrypted with another key.
        StorageFull: No space for the copy.
        CopyStopped: `stop` was set.
    """
    final = Path(target)
    if final.exists():
        raise DatabaseExists("a database of that name is there already")
    unfinished = final.with_name(final.name + _SUFFIX)
    try:
        with translated():
            prepare_library()
            origin, key = opened_for_reading(source, keys.source)
            try:
                place_unfinished(unfinished)
                fill_copy(
                    origin, unfinished, CopyKeys(source=key, target=keys.target), lambda *_: _look(stop)
                )
                _finish(unfinished, keys.target, stop)
            finally:
                origin.close()
        write_to_disk(unfinished)
        unfinished.rename(final)
        write_to_disk(final.parent)
    except BaseException:
        remove_unfinished(unfinished)
        raise
    return final.stat().st_size


class Flag:
    """Something one thread sets and another looks at."""

    def __init__(self) -> None:
        self.is_set = False


class CopyService:
    """What a worker runs: `copy` with the two paths; ends early when interrupted."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._keys = msgspec.convert(options.get("copy_keys", NO_KEYS), CopyKeys)
        self._stop = Flag()

    def run(self, call: Call) -> Any:
        """Carry out one copy."""
        self._stop = Flag()
        source, target = call.params
        return copy_database(source, target, keys=self._keys, stop=self._stop)

    def interrupt(self) -> None:
        """Stop the copy under way."""
        self._stop.is_set = True

    def close(self) -> None:
        """Nothing is kept between calls."""


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

    `on_step` is told pages done and their total after each 4 MiB, and may raise to stop it. Between a file in the clear and
    an encrypted one nothing but the rows can be copied, as a seal takes room in each page: SQLite then writes the copy anew,
    and the total is told as 0.
    """
    if (keys.source is None) != (keys.target is None):
        return _written_anew(origin, unfinished, keys.target, on_step)
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


def _look(stop: Flag | None) -> None:
    if stop is not None and stop.is_set:
        raise CopyStopped


def _finish(unfinished: Path, key: Key | None, stop: Flag | None) -> None:
    copy = opened_copy(unfinished, key)
    try:
        if stop is not None:
            copy.set_progress_handler(lambda: stop.is_set, _STEPS_BETWEEN_LOOKS)
        refuse_damage(copy)
        begin_new_history(copy)
        copy.pragma("journal_mode", "wal")
    finally:
        copy.close()


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

"""Another key for a database that nobody has open: a copy with the new key takes the place of the file.

Whoever kills it leaves the file as it was, with the old key, or the new one whole, with the new key: the copy is checked
and on the disk before it gets the file's name, in one step. Asked again with the same keys, it sees which of both it was.
What lay on the disk before is no longer part of a file, and is not overwritten.
"""

from __future__ import annotations

from pathlib import Path

import apsw
import msgspec

from storage.errors import DatabaseNotFound, WrongKey
from storage.file_keys import CopyKeys, Key
from storage.sqlite import files
from storage.sqlite.backups import alone_on, disk_translated, stopped_with, tell
from storage.sqlite.connection import prepare_library
from storage.sqlite.encryption import DoesNotOpen, OpensWithout
from storage.sqlite.errors import translated
from storage.sqlite.imports import (
    fill_copy,
    opened_copy,
    place_unfinished,
    refuse_damage,
    remove_unfinished,
    write_to_disk,
)
from storage.sqlite.lone_files import opened_alone, take_alone
from workers import MethodService, Task, method

_SUFFIX = ".rekeying"


class RekeyParams(msgspec.Struct, frozen=True, kw_only=True):
    """Which file, and its keys; None for a file in the clear."""

    path: str
    old: Key | None
    new: Key | None


class Rekeyed(msgspec.Struct, frozen=True, kw_only=True):
    """A file that has the new key."""

    had_it_already: bool
    size_bytes: int


class RekeyService(MethodService):
    """Gives database files other keys."""

    @method()
    def rekey(self, params: RekeyParams, task: Task) -> Rekeyed:
        """Give a file the new key; when this returns it is on the disk, and the old key opens it no more.

        Raises:
            DatabaseNotFound: There is no such file.
            DatabaseCorrupt: It is no database, or damaged.
            WrongKey: Neither key opens it.
            EncryptionUnavailable: This build of apsw can't encrypt.
            StorageBusy: Somebody has it open.
            StorageFull, StorageError: The disk takes no copy; the file is as it was.
        """
        final = Path(params.path)
        unfinished = final.with_name(final.name + _SUFFIX)
        if not final.is_file():
            raise DatabaseNotFound("there is no such database")
        with translated(), disk_translated(), alone_on(unfinished):
            prepare_library()
            remove_unfinished(unfinished)  # of one that was killed
            try:
                had_it_already = _opens(params.path, params.new)
                if not had_it_already:
                    _replace(params, unfinished, task)
            finally:
                remove_unfinished(unfinished)
        return Rekeyed(had_it_already=had_it_already, size_bytes=final.stat().st_size)


def _opens(path: str, key: Key | None) -> bool:
    """Return whether the file opens with `key`."""
    try:
        connection = opened_alone(path, key)
    except apsw.NotADBError:
        return False
    connection.close()
    return True


def _replace(params: RekeyParams, unfinished: Path, task: Task) -> None:
    try:
        source = opened_alone(params.path, params.old)
    except (DoesNotOpen, OpensWithout) as error:
        raise WrongKey("neither the old key nor the new one opens the file; nothing was changed") from error
    try:
        take_alone(source)
        place_unfinished(unfinished)
        keys = CopyKeys(source=params.old, target=params.new)
        fill_copy(source, unfinished, keys, lambda *far: tell(task, *far))
        copy = opened_copy(unfinished, params.new)
        try:
            with stopped_with(copy, task):
                refuse_damage(copy)
            copy.pragma("journal_mode", "wal")
        finally:
            copy.close()
        write_to_disk(unfinished)
        files.replace(params.path, str(unfinished))
    finally:
        source.close()

"""A foreign SQLite file, or a backup, becomes a database of ours: copied while it may be in use, checked, and there whole or not at all.

The copy begins a history of its own for those who follow changes. It is made in a worker that lives as long as it: a copy
takes seconds a gigabyte, and the writer of all databases must not wait for it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from storage.errors import DatabaseExists, WrongKey
from storage.file_keys import NO_KEYS, CopyKeys
from storage.sqlite import files
from storage.sqlite.backups import disk_translated, stopped_with, tell
from storage.sqlite.changes import begin_new_history
from storage.sqlite.connection import prepare_library
from storage.sqlite.encryption import DoesNotOpen
from storage.sqlite.errors import translated
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

_SUFFIX = ".importing"


class CopyInParams(msgspec.Struct, frozen=True, kw_only=True):
    """What to copy, to where, and the keys of both."""

    source: str
    target: str
    keys: CopyKeys = NO_KEYS
    then: list[str] = []
    """Statements that are run in the copy before it gets its name."""


class CopiedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that is on the disk."""

    size_bytes: int


class CopyInService(MethodService):
    """Copies database files in."""

    @method()
    def copy_in(self, params: CopyInParams, task: Task) -> CopiedIn:
        """Copy `source` to `target`, in WAL mode; when this returns, it is on the disk.

        A source in the clear is taken as it is, though a key is given for it. Changes that others commit to `source`
        meanwhile are in the copy or not, as a whole. A log that lies beside the name `target` is of no file, and goes.

        Raises:
            DatabaseExists: There is a file `target`.
            DatabaseNotFound: `source` can't be opened.
            DatabaseCorrupt: `source` is no SQLite database, or a damaged one.
            WrongKey: `source` is encrypted with another key.
            SqlError: A statement can't be run in the copy.
            StorageFull, StorageError: The disk takes no copy.
        """
        final = Path(params.target)
        if final.exists():
            raise DatabaseExists("a database of that name is there already")
        unfinished = final.with_name(final.name + _SUFFIX)
        with translated(), disk_translated():
            prepare_library()
            try:
                _copy(params, unfinished, task)
                _finish(unfinished, params, task)
                write_to_disk(unfinished)
                files.replace(params.target, str(unfinished))
            finally:
                remove_unfinished(unfinished)
        return CopiedIn(size_bytes=final.stat().st_size)


def _copy(params: CopyInParams, unfinished: Path, task: Task) -> None:
    try:
        source, key = opened_for_reading(params.source, params.keys.source)
    except DoesNotOpen as error:
        raise WrongKey(
            "another key opens the file, or it is no database; a backup has the key that its database had then: "
            "`dataserver rekey` gives it another, or name its file in storage.keys"
        ) from error
    try:
        place_unfinished(unfinished)
        keys = CopyKeys(source=key, target=params.keys.target)
        fill_copy(source, unfinished, keys, lambda *far: tell(task, *far))
    finally:
        source.close()


def _finish(unfinished: Path, params: CopyInParams, task: Task) -> None:
    copy = opened_copy(unfinished, params.keys.target)
    try:
        with stopped_with(copy, task):
            refuse_damage(copy)
            for statement in params.then:
                copy.execute(statement)
        begin_new_history(copy)
        copy.pragma("journal_mode", "wal")
    finally:
        copy.close()

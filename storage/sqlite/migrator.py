"""Applies migrations to an open database; the rules are in `storage.migrations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from storage.errors import MigrationFailed, NotAllowed
from storage.migrations import Migration, pending
from storage.sqlite.errors import translation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.sqlite.writer_connection import WriterConnection

_MAX_TOLD_CHARS = 300

_TABLE = """
CREATE TABLE IF NOT EXISTS storage_migrations (
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    file_name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at_ms INTEGER NOT NULL,
    PRIMARY KEY (source, number)
) STRICT, WITHOUT ROWID
"""
_APPLIED = "SELECT number, file_name, checksum FROM storage_migrations WHERE source = ?"
_NOTE = "INSERT INTO storage_migrations VALUES (?, ?, ?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER))"
_HAS_TABLE = "SELECT 1 FROM sqlite_schema WHERE name = 'storage_migrations'"
_DANGLING = "SELECT count(*) FROM pragma_foreign_key_check"


def migrate(file: WriterConnection, migrations: Sequence[Migration], *, deadline: float) -> int:
    """Apply those of `migrations` that `file` has not seen, each in one transaction, and return how many.

    Raises:
        MigrationFailed: One broke and left no trace; those before it stay. Or the database does not fit the files.
        apsw.Error: The disk, a lock or the deadline; likewise.
        WriteOutcomeUnknown: The disk failed during a commit; the next try finds out what came of it.
    """
    file.ensure_open()
    waiting = _waiting(file, migrations)
    if not waiting:
        return 0
    file.run_own("PRAGMA foreign_keys = OFF")
    try:
        for migration in waiting:
            _apply(file, migration, deadline)
    finally:
        if not file.is_spoilt:  # one that is opened again enforces them
            file.run_own("PRAGMA foreign_keys = ON")
    return len(waiting)


def _waiting(file: WriterConnection, migrations: Sequence[Migration]) -> list[Migration]:
    is_new = not file.run_own(_HAS_TABLE)
    waiting = []
    for source in dict.fromkeys(migration.source for migration in migrations):
        of_source = sorted(
            (each for each in migrations if each.source == source), key=lambda each: each.number
        )
        applied = {} if is_new else {row[0]: (row[1], row[2]) for row in file.run_own(_APPLIED, (source,))}
        waiting += pending(of_source, applied)
    return waiting


def _apply(file: WriterConnection, migration: Migration, deadline: float) -> None:
    begun: list[str] = []
    try:
        file.begin(deadline=deadline)
        dangling_count = file.run_own(_DANGLING)[0][0]
        file.statements.execute_script(migration.sql, begun.append)
        if file.run_own(_DANGLING)[0][0] > dangling_count:
            raise _broken(migration, "it leaves rows that refer to none", begun[:0])
        file.run_own(_TABLE)
        file.run_own(_NOTE, (migration.source, migration.number, migration.file_name, migration.checksum))
        file.commit()
    except (apsw.SQLError, apsw.ConstraintError, apsw.MismatchError, apsw.BindingsError, NotAllowed) as error:
        told = error if isinstance(error, NotAllowed) else translation(error)
        raise _broken(migration, str(told), begun[-1:]) from error
    finally:
        file.roll_back()


def _broken(migration: Migration, why: str, statement: Sequence[str]) -> MigrationFailed:
    where = f" in: {statement[0].strip()[:_MAX_TOLD_CHARS]}" if statement else ""
    return MigrationFailed(
        f"{migration.source}: {migration.file_name}: {why}{where}", version=migration.number
    )

"""Numbered `.sql` files of a package, each applied to a database once, in order, each in a transaction.

A file is named `0001_what_it_does.sql`. Once it has landed it is never edited: its checksum is stored with it, and a
database that was made by another text is refused rather than guessed about. Several packages may share a database;
each has its own numbers. A database that is ahead of its package (an older release was started) is refused too.

While a migration runs, foreign keys are not enforced, as SQLite asks of whoever rebuilds a table (DROP TABLE would
delete the rows that refer to it); before it is committed all of them are checked, and it fails if there are more
dangling ones than before. Its statements may do what callers' may: no transaction control, ATTACH, VACUUM or PRAGMA.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.errors import MigrationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One change of a schema."""

    source: str
    """The package it comes from."""
    number: int
    name: str
    sql: str

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.number:04}_{self.name}.sql"

    @property
    def checksum(self) -> str:
        """What tells an edited file; line ends don't count."""
        return hashlib.sha256("\n".join(self.sql.splitlines()).encode()).hexdigest()

    def as_params(self) -> list[Any]:
        """Return it as MessagePack carries it; `Migration(*params)` makes it again."""
        return [self.source, self.number, self.name, self.sql]


def load(package: str) -> list[Migration]:
    """Return the migrations of `package`, in order.

    Raises:
        MigrationFailed: A `.sql` file there has another name than `0001_what_it_does.sql`, or a number twice.
        ModuleNotFoundError: There is no such package.
    """
    from importlib.resources import files  # noqa: PLC0415 - 15 ms that a worker, which only applies them, must not pay

    found: dict[int, Migration] = {}
    for file in files(package).iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationFailed(f"{package}: {file.name} is not named like 0001_what_it_does.sql")
        migration = Migration(package, int(match[1]), match[2], file.read_text(encoding="utf-8"))
        if migration.number in found:
            other = found[migration.number].file_name
            raise MigrationFailed(
                f"{package}: {other} and {file.name} have the same number", version=migration.number
            )
        found[migration.number] = migration
    return [found[number] for number in sorted(found)]


def pending(available: Sequence[Migration], applied: Mapping[int, tuple[str, str]]) -> list[Migration]:
    """Return those of `available` (one package's, in order) that are to be applied.

    `applied` has the file name and checksum of each number that the database has seen.

    Raises:
        MigrationFailed: A file was edited after it was applied, one comes before the last applied one without having
            been applied, or the database has seen one that is not available.
    """
    waiting = []
    last_applied = max(applied, default=-1)
    for migration in available:
        seen = applied.get(migration.number)
        if seen is None:
            if migration.number < last_applied:
                raise _refusal(
                    migration,
                    f"it comes before number {last_applied:04}, which is applied; give it a later number",
                )
            waiting.append(migration)
        elif seen[1] != migration.checksum:
            raise _refusal(
                migration, f"it was edited after it was applied (as {seen[0]}); restore it and add a new one"
            )
    unknown = sorted(applied.keys() - {migration.number for migration in available})
    if unknown:
        file_name = applied[unknown[0]][0]
        raise MigrationFailed(
            f"the database has seen {file_name}, which this release does not have; start the newer one",
            version=unknown[0],
        )
    return waiting


def _refusal(migration: Migration, why: str) -> MigrationFailed:
    return MigrationFailed(f"{migration.source}: {migration.file_name}: {why}", version=migration.number)

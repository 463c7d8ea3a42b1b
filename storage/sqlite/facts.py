"""What the loaded SQLite library is, for `dataserver doctor`."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from storage.errors import UnsupportedSqlite
from storage.sqlite.connection import OLDEST_SQLITE, require_supported

NEEDED_OPTIONS = ("THREADSAFE=1", "ENABLE_FTS5")
"""Compile options without which something of ours does not run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryFacts:
    """One SQLite library, as this process has it."""

    version: str
    source_id: str
    apsw_version: str
    compile_options: tuple[str, ...]
    is_supported: bool
    oldest_supported: str
    missing_options: tuple[str, ...]


def library_facts() -> LibraryFacts:
    """Return what SQLite says about itself; opens nothing."""
    try:
        require_supported()
    except UnsupportedSqlite:
        supported = False
    else:
        supported = True
    options = tuple(apsw.compile_options)
    return LibraryFacts(
        version=apsw.sqlite_lib_version(),
        source_id=apsw.sqlite3_sourceid(),
        apsw_version=apsw.apsw_version(),
        compile_options=options,
        is_supported=supported,
        oldest_supported=".".join(map(str, OLDEST_SQLITE)),
        missing_options=tuple(option for option in NEEDED_OPTIONS if option not in options),
    )

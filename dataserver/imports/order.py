"""What an import is asked to do, and who watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dataserver.imports.records import BadRecord
from dataserver.imports.source_file import SourceFile
from dataserver.imports.survey import Reading
from dataserver.imports.table_plan import Place


class ImportRefused(Exception):
    """The import cannot be done as it was asked for; nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be imported, where to, and what to do about bad lines."""

    reading: Reading
    database: str
    table: str
    on_error: Literal["skip", "stop"] = "stop"
    append: bool = False
    primary_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told what happens; all are called between awaits, so they must be quick."""

    surveying: Callable[[SourceFile], None] = lambda _: None
    storing: Callable[[SourceFile, int], None] = lambda _source, _rows: None
    """The file, and how many rows of it are stored by now."""
    resuming: Callable[[Place], None] = lambda _: None
    complaining: Callable[[BadRecord], None] = lambda _: None

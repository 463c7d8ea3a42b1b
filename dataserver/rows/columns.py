"""Columns of a table as a request may name them: quoted, and with the affinity that decides how text is compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from dataserver.refusals import UnknownColumn

if TYPE_CHECKING:
    from storage import TableInfo

Affinity = Literal["integer", "text", "blob", "real", "numeric"]
Value = None | int | float | str | bytes

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Column:
    """One column as SQL sees it."""

    name: str
    affinity: Affinity
    nullable: bool

    @property
    def sql(self) -> str:
        """The name, quoted; a name cannot end the quotes."""
        return quoted(self.name)


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def affinity_of(declared: str) -> Affinity:
    """Return the affinity of a column declared as `declared`, by SQLite's rules in their order."""
    name = declared.upper()
    if "INT" in name:
        return "integer"
    if "CHAR" in name or "CLOB" in name or "TEXT" in name:
        return "text"
    if "BLOB" in name or not name or name == "ANY":
        return "blob"
    if "REAL" in name or "FLOA" in name or "DOUB" in name:
        return "real"
    return "numeric"


def columns_of(table: TableInfo) -> dict[str, Column]:
    """Return the columns of `table` by name, in its order."""
    key = set(table.primary_key) if not table.has_rowid else set()
    return {
        column.name: Column(
            name=column.name,
            affinity=affinity_of(column.type),
            nullable=not (column.not_null or column.name in key),
        )
        for column in table.columns
    }


def find(columns: dict[str, Column], name: str) -> Column:
    """Return the column called `name`.

    Raises:
        UnknownColumn: There is none; the error names those there are.
    """
    found = columns.get(name)
    if found is None:
        raise UnknownColumn(f"there is no column {name!r}", column=name, allowed=list(columns))
    return found


def bound(text: str, affinity: Affinity) -> int | str:
    """Return `text` as it must be bound to compare with a column of this affinity as a person would expect.

    SQLite itself turns text into a number beside a column of numeric affinity; beside one without affinity it does not.
    """
    if affinity in {"integer", "blob"} and _INTEGER.fullmatch(text):
        number = int(text)
        if MIN_INTEGER <= number <= MAX_INTEGER:
            return number
    return text

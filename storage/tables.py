"""What a database holds, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnInfo:
    """One column of a table or view."""

    name: str
    type: str
    """The declared type, "" if none."""
    not_null: bool
    default: str | None
    """The text of the default's expression."""
    primary_key_position: int
    """From 1; 0 when the column is not part of the primary key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableInfo:
    """One table or view; SQLite's own tables and the shadows of virtual ones are left out."""

    name: str
    kind: Literal["table", "view"]
    columns: list[ColumnInfo]
    primary_key: list[str]
    """Names in the order of the key; empty when there is none but the rowid."""
    has_rowid: bool
    row_count_estimate: int | None
    """From the last ANALYZE; None if there was none."""
    strict: bool
    searched_columns: tuple[str, ...] = ()
    """Of the search index; empty when there is none."""


def table_info(found: list[Any]) -> TableInfo:
    """Return what a reader tells of one table, as `TableInfo`."""
    name, is_view, has_rowid, strict, estimate, columns, searched = found
    infos = [
        ColumnInfo(name=column, type=kind, not_null=not_null, default=default, primary_key_position=place)
        for column, kind, not_null, default, place in columns
    ]
    key = sorted(
        (info for info in infos if info.primary_key_position), key=lambda info: info.primary_key_position
    )
    return TableInfo(
        name=name,
        kind="view" if is_view else "table",
        columns=infos,
        primary_key=[info.name for info in key],
        has_rowid=has_rowid,
        row_count_estimate=estimate,
        strict=strict,
        searched_columns=tuple(searched),
    )

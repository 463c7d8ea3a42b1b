"""Values that an earlier statement of a request gave, used as parameters of a later one. Pure.

A row and its children go in with one request: the child's key is what the first statement inserted. It is looked up
where the statements run, so it costs no round trip, and nothing is held open between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.errors import NothingEarlier, ParameterMismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_KEY = "$earlier"
"""What marks one on its way to the worker: no parameter that SQLite stores is a map."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the statement at the place `statement` (from 0) gave: the rowid it inserted, or a value it returned.

    With `column`, it is the value of that column in the given `row` (from 0) of what RETURNING or a SELECT gave.
    """

    statement: int
    column: str | None = None
    row: int = 0

    def sent(self) -> dict[str, Any]:
        """Return it as the worker gets it."""
        return {_KEY: [self.statement, self.column, self.row]}


def check(values: Iterable[Any], place: int) -> None:
    """Raise `ParameterMismatch` if a value of the statement at `place` refers to one that is not before it."""
    for value in values:
        if isinstance(value, Earlier) and not 0 <= value.statement < place:
            raise ParameterMismatch(
                f"statement {place} refers to statement {value.statement}; those before it are allowed, from 0"
            )


def resolved(params: Sequence[Any] | Mapping[str, Any], results: Sequence[Sequence[Any]]) -> Any:
    """Return `params` with what they refer to put in its place; `results` are those of the statements before.

    Raises:
        NothingEarlier: The statement inserted no row, or returned no such row.
        ParameterMismatch: It returned no such column.
    """
    if isinstance(params, dict):
        return {name: _value(value, results) for name, value in params.items()}
    return [_value(value, results) for value in params]


def refers(params: Sequence[Any] | Mapping[str, Any]) -> bool:
    """Return whether any of the sent `params` is a reference."""
    return dict in map(type, params.values() if isinstance(params, dict) else params)


def _value(value: Any, results: Sequence[Sequence[Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    place, column, row = value[_KEY]
    result = results[place]
    if column is None:
        if not result[1]:
            raise NothingEarlier(f"statement {place} inserted no row")
        return result[1]
    columns, rows = result[2:] if len(result) > 2 else ([], [])  # noqa: PLR2004 - changes and rowid come first
    if rows and column not in columns:
        raise ParameterMismatch(f"statement {place} returned no column {column!r}")
    if not 0 <= row < len(rows):
        raise NothingEarlier(f"statement {place} returned {len(rows)} rows; there is no row {row}")
    return rows[row][columns.index(column)]

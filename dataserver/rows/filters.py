"""Filters of a request as a WHERE clause: `?age__gte=30&name__like=a%25`.

A parameter is `COLUMN` (equal) or `COLUMN__OPERATOR`; all must hold. A column whose own name holds `__` works: the whole
name is looked up first. A column named like one of the page's own parameters is reached as `limit__eq`.
Names are looked up and quoted, values are always bound; neither reaches the SQL as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from dataserver.refusals import InvalidParameter, UnknownOperator
from dataserver.rows.columns import Column, Value, bound, find

RESERVED: Final = frozenset(
    {"limit", "order", "after", "timeout_ms", "table", "format", "snapshot", "search"}
)
"""Parameters of the page and of the export itself."""

MAX_FILTER_COUNT: Final = 32
MAX_LIST_COUNT: Final = 500


class Condition(msgspec.Struct, frozen=True, gc=False):
    """A piece of SQL that is true or not, and what its question marks are bound to, in order."""

    sql: str
    params: tuple[Value, ...] = ()


def _compared(operator: str) -> Callable[[Column, str], Condition]:
    def condition(column: Column, text: str) -> Condition:
        return Condition(f"{column.sql} {operator} ?", (bound(text, column.affinity),))

    return condition


def _one_of(column: Column, text: str) -> Condition:
    values = text.split(",")
    if len(values) > MAX_LIST_COUNT:
        raise InvalidParameter(
            f"{column.name}__in lists {len(values)} values; at most {MAX_LIST_COUNT} are allowed"
        )
    marks = ", ".join("?" * len(values))
    return Condition(f"{column.sql} IN ({marks})", tuple(bound(value, column.affinity) for value in values))


def _like(column: Column, text: str) -> Condition:
    return Condition(f"{column.sql} LIKE ? ESCAPE '\\'", (text,))


def _glob(column: Column, text: str) -> Condition:
    return Condition(f"{column.sql} GLOB ?", (text,))


def _is_null(column: Column, text: str) -> Condition:
    if text not in {"0", "1"}:
        raise InvalidParameter(f"{column.name}__isnull is {text!r}; allowed are 0 and 1")
    return Condition(f"{column.sql} IS NULL" if text == "1" else f"{column.sql} IS NOT NULL")


OPERATORS: Final[dict[str, Callable[[Column, str], Condition]]] = {
    "eq": _compared("="),
    "ne": _compared("<>"),
    "lt": _compared("<"),
    "lte": _compared("<="),
    "gt": _compared(">"),
    "gte": _compared(">="),
    "in": _one_of,
    "like": _like,
    "glob": _glob,
    "isnull": _is_null,
}
"""What may stand behind `__`: `like` takes % and _ with a backslash to escape them, `in` a list parted by commas."""


def conditions(parameters: Iterable[tuple[str, str]], columns: dict[str, Column]) -> list[Condition]:
    """Return what the query parameters ask for, one condition each.

    Raises:
        UnknownColumn: A parameter names a column that the table lacks.
        UnknownOperator: A parameter names an operator that does not exist.
        InvalidParameter: A value is none for its operator, or there are too many parameters.
    """
    found = [_condition(name, text, columns) for name, text in parameters if name not in RESERVED]
    if len(found) > MAX_FILTER_COUNT:
        raise InvalidParameter(f"there are {len(found)} filters; at most {MAX_FILTER_COUNT} are allowed")
    return found


def _condition(name: str, text: str, columns: dict[str, Column]) -> Condition:
    whole = columns.get(name)
    if whole is not None:
        return OPERATORS["eq"](whole, text)
    column_name, separator, operator = name.rpartition("__")
    if not separator:
        find(columns, name)
    column = find(columns, column_name)
    made = OPERATORS.get(operator)
    if made is None:
        raise UnknownOperator(
            f"there is no operator {operator!r} (in {name!r})", operator=operator, allowed=list(OPERATORS)
        )
    return made(column, text)

"""One page of rows: the statement that reads it, and where in its JSON the page ends and the next one begins.

The statement asks for one row more than the page has, which tells whether there is a next one. The JSON that SQLite
made is not taken apart: the rows are skimmed (about 1 ms a megabyte) for the start of the last two, and only the last
row of the page is decoded, for its values of the order. Where such a value may differ from what the table holds (text
with a replacement character, NULL that may have been an infinity), the caller reads it again by the row's key.
"""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dataserver.refusals import InvalidCursor, InvalidParameter
from dataserver.rows.columns import Value, quoted
from dataserver.rows.filters import Condition
from dataserver.rows.keys import Key
from dataserver.rows.keyset import ExactText, Order, Place, after, read_cursor, write_cursor

_REPLACED = "\ufffd"
_BLOB_NAME = "$base64"
_BIG_INTEGER: Final = re.compile(r"-?[0-9]{16,19}", re.ASCII)
"""What storage may have written for an integer that JavaScript can't hold, where its settings say so."""
_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ROW: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with what its question marks are bound to."""

    sql: str
    params: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What a page asks for."""

    table: str
    key: Key | None
    order: Order
    conditions: tuple[Condition, ...]
    limit: int
    after: str | None

    @property
    def offset(self) -> int:
        """How many rows came before, for an order that is not total."""
        if self.order.total or self.after is None:
            return 0
        (offset,) = read_cursor(self.order, self.after)
        if not isinstance(offset, int) or offset < 0:
            raise InvalidCursor("`after` is no cursor of this view: start again without it")
        return offset

    @property
    def statement(self) -> Statement:
        """The statement that reads the page and one row more."""
        arms: list[list[Condition]] = [[]]
        if self.after is not None and self.order.total:
            arms = [[arm] for arm in after(self.order, read_cursor(self.order, self.after))]
        selected = [select(self.table, self.key, [*self.conditions, *arm]) for arm in arms]
        sql = " UNION ALL ".join(each.sql for each in selected) + _ordered(self.order) + " LIMIT ?"
        params = (*(param for each in selected for param in each.params), self.limit + 1)
        if self.offset:
            return Statement(f"{sql} OFFSET ?", (*params, self.offset))
        return Statement(sql, params)


def export(table: str, key: Key | None, conditions: list[Condition], order: Order | None) -> Statement:
    """Return the statement for all rows of `table` that meet the `conditions`; as they are stored without an order."""
    selected = select(table, key, conditions)
    return selected if order is None else Statement(selected.sql + _ordered(order), selected.params)


def select(table: str, key: Key | None, conditions: list[Condition]) -> Statement:
    """Return the statement for all rows of `table` that meet the `conditions`, with a key that isn't among its columns."""
    extra = "" if key is None or key.shown else "".join(f"{column.sql}, " for column in key.columns)
    sql = f"SELECT {extra}* FROM {quoted(table)}"  # noqa: S608 - names are quoted, values bound
    if conditions:
        sql += " WHERE " + " AND ".join(condition.sql for condition in conditions)
    return Statement(sql, tuple(param for condition in conditions for param in condition.params))


def _ordered(order: Order) -> str:
    return f" ORDER BY {order.sql}" if order.terms else ""


@dataclass(frozen=True, slots=True)
class PageEnd:
    """Where a page ends in its JSON."""

    rows_bytes: int
    """How much of the JSON array belongs to the page, without its closing bracket."""
    last: dict[str, Any] | None
    """The last row of the page when another page follows; None when it is the last page."""


def page_end(rows: bytes, limit: int) -> PageEnd:
    """Return where the page of `limit` rows ends in `rows`, a JSON array of at most one row more."""
    raws = _ROWS.decode(rows)
    if len(raws) <= limit:
        return PageEnd(len(rows.rstrip()) - 1, None)
    beyond = len(bytes(raws[-1]))
    end = rows.rindex(b",", 0, len(rows.rstrip()) - 1 - beyond)
    return PageEnd(end, _ROW.decode(raws[-2]))


def place_of(order: Order, row: dict[str, Any]) -> Place | None:
    """Return the place of `row` in `order`; None if its JSON may not say exactly what the table holds."""
    values = tuple(_exact(row[term.column.name], nullable=term.column.nullable) for term in order.terms)
    return None if any(value is _UNSURE for value in values) else values


_UNSURE: Any = object()


def _exact(value: Any, *, nullable: bool) -> Any:
    if value is None:
        return _UNSURE if nullable else None
    if isinstance(value, str):
        return _UNSURE if _REPLACED in value or _BIG_INTEGER.fullmatch(value) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else _UNSURE
    if isinstance(value, dict):
        return base64.b64decode(value[_BLOB_NAME]) if value.keys() == {_BLOB_NAME} else _UNSURE
    return value


def key_in(key: Key, row: dict[str, Any]) -> tuple[Value, ...]:
    """Return the key of `row`, for a statement that finds the row again."""
    return tuple(
        base64.b64decode(value[_BLOB_NAME]) if isinstance(value, dict) else value
        for value in (row[column.name] for column in key.columns)
    )


def place_statement(table: str, key: Key, order: Order, values: tuple[Value, ...]) -> Statement:
    """Return the statement for the exact place of one row: for each term its type, and its value or its bytes."""
    columns = ", ".join(
        f"typeof({name}), CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"
        for name in (term.column.sql for term in order.terms)
    )
    return Statement(f"SELECT {columns} FROM {quoted(table)} WHERE {key.where}", values)  # noqa: S608 - as above


def place_read(fields: tuple[Any, ...]) -> Place:
    """Return the place that the row of a `place_statement` holds."""
    return tuple(
        ExactText(value) if kind == "text" else value
        for kind, value in zip(fields[::2], fields[1::2], strict=True)
    )


def next_cursor(page: Page, place: Place) -> str:
    """Return the cursor for the page behind `page`, which ended at `place` (ignored without a total order)."""
    if page.order.total:
        return write_cursor(page.order, place)
    return write_cursor(page.order, (page.offset + page.limit,))


def page_limit(text: str | None, *, default: int, most: int) -> int:
    """Return the number of rows that `?limit=` asks for.

    Raises:
        InvalidParameter: It is no whole number from 1 to `most`.
    """
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):  # noqa: PLR2004
        raise InvalidParameter(f"limit is {text!r}; allowed are 1 to {most}")
    return int(text)

"""One page of rows: the statement that reads it, and where in its JSON the page ends and the next one begins.

The statement asks for one row more than the page has, which tells whether there is a next one. The JSON that SQLite
made is not taken apart: the rows are skimmed (about 1 ms a megabyte) for the start of the last two, and only the last
row of the page is decoded, for its values of the order. Where such a value may differ from what the table holds (text
with a replacement character, NULL that may have been an infinity), the caller reads it again by the row's key.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

import msgspec

from dataserver.refusals import InvalidCursor, InvalidParameter
from dataserver.rows.columns import Value, quoted
from dataserver.rows.filters import Condition
from dataserver.rows.keys import Key
from dataserver.rows.keyset import ExactText, Order, Place, after, read_cursor, write_cursor
from dataserver.rows.search import Search

_REPLACED = "\ufffd"
_BLOB_NAME = "$base64"
_BIG_INTEGER: Final = re.compile(r"-?[0-9]{16,19}", re.ASCII)
"""What storage may have written for an integer that JavaScript can't hold, where its settings say so."""
_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ROW: Final = msgspec.json.Decoder(dict[str, Any])


class Statement(msgspec.Struct, frozen=True, gc=False):
    """SQL with what its question marks are bound to."""

    sql: str
    params: tuple[Value, ...] = ()


class Page(msgspec.Struct, frozen=True, gc=False):
    """What a page asks for."""

    table: str
    key: Key | None
    order: Order
    conditions: tuple[Condition, ...]
    limit: int
    after: str | None
    search: Search | None = None

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
        rows = self.rows
        sql, params = f"{rows.sql} LIMIT ?", (*rows.params, self.limit + 1)
        if self.search is not None:  # only tables can be searched, and their orders are total
            told = self.search.with_snippets(Condition(sql, params))
            return Statement(told.sql, told.params)
        return Statement(f"{sql} OFFSET ?", (*params, self.offset)) if self.offset else Statement(sql, params)

    @property
    def rows(self) -> Statement:
        """The statement for the rows of this page and all that follow."""
        arms: list[list[Condition]] = [[]]
        if self.after is not None and self.order.total:
            arms = [[arm] for arm in after(self.order, read_cursor(self.order, self.after))]
        source = None if self.search is None else self.search.source
        selected = [select(self.table, self.key, [*self.conditions, *arm], source) for arm in arms]
        sql = " UNION ALL ".join(each.sql for each in selected) + _ordered(self.order)
        return Statement(sql, tuple(param for each in selected for param in each.params))


def export(table: str, key: Key | None, conditions: list[Condition], order: Order | None) -> Statement:
    """Return the statement for all rows of `table` that meet the `conditions`; as they are stored without an order."""
    selected = select(table, key, conditions)
    return selected if order is None else Statement(selected.sql + _ordered(order), selected.params)


def select(
    table: str, key: Key | None, conditions: list[Condition], source: Condition | None = None
) -> Statement:
    """Return the statement for all rows of `table` that meet the `conditions`, with a key that isn't among its columns.

    With `source` they are read from there.
    """
    origin = source or Condition(quoted(table))
    extra = "" if key is None or key.shown else "".join(f"{column.sql}, " for column in key.columns)
    sql = f"SELECT {extra}* FROM {origin.sql}"  # noqa: S608 - names are quoted, values bound
    if conditions:
        sql += " WHERE " + " AND ".join(condition.sql for condition in conditions)
    return Statement(sql, tuple(param for condition in (origin, *conditions) for param in condition.params))


def _ordered(order: Order) -> str:
    return f" ORDER BY {order.sql}" if order.terms else ""


class PageEnd(msgspec.Struct, frozen=True, gc=False):
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
    values = tuple(row[term.column.name] for term in order.terms)
    return tuple(map(_plain, values)) if all(map(_is_exact, values)) else None


def place_statements(page: Page, row: dict[str, Any]) -> list[Statement]:
    """Return statements for the exact place of `row`, the last of `page`; the next is for when one finds nothing.

    The first finds the row by its key, if that is exact; the second by its position, which other writes may shift.
    """
    exact = ", ".join(
        f"typeof({name}), CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"
        for name in (term.column.sql for term in page.order.terms)
    )
    rows = page.rows
    by_position = Statement(
        f"SELECT {exact} FROM ({rows.sql} LIMIT 1 OFFSET ?)",  # noqa: S608 - names are quoted, values bound
        (*rows.params, page.limit - 1),
    )
    if page.key is None or page.search is not None:  # the rank is no column of the table
        return [by_position]
    values = tuple(row[column.name] for column in page.key.columns)
    if not all(map(_is_exact, values)):
        return [by_position]
    by_key = f"SELECT {exact} FROM {quoted(page.table)} WHERE {page.key.where}"  # noqa: S608 - as above
    return [Statement(by_key, tuple(map(_plain, values))), by_position]


def _is_exact(value: Any) -> bool:
    """Tell whether JSON says all of a value: not so for infinities (null), broken UTF-8, integers written as text."""
    if isinstance(value, str):
        return _REPLACED not in value and not _BIG_INTEGER.fullmatch(value)
    return value is not None


def _plain(value: Any) -> Value:
    """Return the value that JSON stands for."""
    return base64.b64decode(value[_BLOB_NAME]) if isinstance(value, dict) else value


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

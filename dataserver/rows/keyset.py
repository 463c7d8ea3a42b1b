"""Keyset pages: an order that is total, the place where a page ended, and the SQL of what comes after it.

The order is what the client asks for, then the table's key in the direction of the last column asked for (so that an
index on that column serves both). A page never skips or repeats a row that did not change: NULLs stand where SQLite
puts them (first ascending, last descending), the key makes ties impossible, and the values of the cursor are exact.
A view has no key; its cursor is a count of rows, which is exact while nothing changes.

The condition opens with a plain bound on the first column where it can, because SQLite seeks in an index for that but
not for the OR behind it; columns that are never NULL and run in one direction become one row value, which it seeks for.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dataserver.refusals import InvalidCursor, InvalidParameter
from dataserver.rows.columns import MAX_INTEGER, MIN_INTEGER, Column, Value, find
from dataserver.rows.filters import Condition

if TYPE_CHECKING:
    from dataserver.rows.keys import Key

MAX_ORDER_COUNT: Final = 16
MAX_CURSOR_CHARACTERS: Final = 16_384
_VERSION = 1
_MARK_BYTES = 6


class Term(msgspec.Struct, frozen=True, gc=False):
    """One column of an order."""

    column: Column
    descending: bool = False

    @property
    def sql(self) -> str:
        """The term as it stands in ORDER BY."""
        return f"{self.column.sql} DESC" if self.descending else self.column.sql


@dataclass(frozen=True, slots=True)
class ExactText:
    """Text by its bytes: what is no valid UTF-8 still compares exactly."""

    data: bytes


Place = tuple[Value | ExactText, ...]
"""The values of an order's terms in the last row of a page."""


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    version: int
    mark: bytes
    values: list[Any]
    """As they are bound; a text by its bytes is a list of them alone."""


class Order(msgspec.Struct, frozen=True, gc=False):
    """A total order of rows, or, without a key, one that ends in `offset` pages."""

    terms: tuple[Term, ...]
    total: bool
    sql: str
    """What stands behind ORDER BY; empty where there is nothing to order by."""
    mark: bytes
    """A short mark of the order, so that a cursor of another one is refused."""


def _order(terms: tuple[Term, ...], *, total: bool) -> Order:
    sql = ", ".join(term.sql for term in terms)
    return Order(terms, total, sql, sha256(repr((sql, total)).encode()).digest()[:_MARK_BYTES])


def order_of(text: str | None, columns: dict[str, Column], key: Key | None) -> Order:
    """Return the order that `?order=-age,id` asks for, made total by the key.

    Raises:
        UnknownColumn: A column that the table lacks.
        InvalidParameter: A column twice, or too many of them.
    """
    terms: list[Term] = []
    reachable = columns if key is None or key.shown else columns | {c.name: c for c in key.columns}
    for part in text.split(",") if text else ():
        column = find(reachable, part.removeprefix("-"))
        if any(term.column.name == column.name for term in terms):
            raise InvalidParameter(f"the order names the column {column.name!r} twice")
        terms.append(Term(column, descending=part.startswith("-")))
    if len(terms) > MAX_ORDER_COUNT:
        raise InvalidParameter(f"the order has {len(terms)} columns; at most {MAX_ORDER_COUNT} are allowed")
    if key is None:
        return _order(tuple(terms), total=False)
    descending = bool(terms) and terms[-1].descending
    named = {term.column.name for term in terms}
    terms += [Term(column, descending) for column in key.columns if column.name not in named]
    return _order(_up_to_key(terms, key), total=True)


def _up_to_key(terms: list[Term], key: Key) -> tuple[Term, ...]:
    """Drop what stands behind the last column of the key: it can't decide anything."""
    missing = {column.name for column in key.columns}
    for count, term in enumerate(terms, start=1):
        missing.discard(term.column.name)
        if not missing:
            return tuple(terms[:count])
    return tuple(terms)


def after(order: Order, place: Place) -> list[Condition]:
    """Return conditions of which exactly one holds for each row behind `place` in a total order.

    There are two where NULLs follow values or values follow NULLs: as one condition with OR between them they'd cost
    a sort of all that follows, as two statements joined by UNION ALL each seeks in the index and SQLite merges them.
    """
    steps = [_Step(term, value) for term, value in zip(order.terms, place, strict=True)]
    first = steps[0]
    column = first.term.column.sql
    if first.value is None and not first.term.descending and first.term.column.nullable:
        return [_tied(first, steps[1:]), Condition(f"{column} IS NOT NULL")]
    if first.value is not None and first.nulls_follow:
        return [
            _behind([_Step(first.term, first.value, nulls_apart=True), *steps[1:]]),
            Condition(f"{column} IS NULL"),
        ]
    return [_behind(steps)]


class _Step(msgspec.Struct, frozen=True, gc=False):
    """A term of the order, and its value at the place."""

    term: Term
    value: Value | ExactText
    nulls_apart: bool = False
    """Whether rows with NULL are another condition's business."""

    @property
    def nulls_follow(self) -> bool:
        """Whether rows with NULL in this column may stand behind the value."""
        return self.term.descending and self.term.column.nullable and not self.nulls_apart


def _behind(steps: list[_Step]) -> Condition:
    first, *rest = steps
    plain = all(step.value is not None and not step.nulls_follow for step in steps)
    if plain and len({step.term.descending for step in steps}) == 1:
        return _row_value(steps)
    strictly = _strictly_behind(first)
    if not rest:
        return strictly or _NEVER
    tied = _tied(first, rest)
    if strictly is None:
        return tied
    either = Condition(f"({strictly.sql} OR {tied.sql})", (*strictly.params, *tied.params))
    if first.value is None or first.nulls_follow:
        return either
    operator = "<=" if first.term.descending else ">="
    mark, bind = _bound(first.value)
    return Condition(f"({first.term.column.sql} {operator} {mark} AND {either.sql})", (bind, *either.params))


_NEVER: Final = Condition("0")


def _row_value(steps: list[_Step]) -> Condition:
    operator = "<" if steps[0].term.descending else ">"
    marks, binds = zip(*(_bound(step.value) for step in steps), strict=True)
    if len(steps) == 1:
        return Condition(f"{steps[0].term.column.sql} {operator} {marks[0]}", binds)
    names = ", ".join(step.term.column.sql for step in steps)
    return Condition(f"({names}) {operator} ({', '.join(marks)})", binds)


def _strictly_behind(step: _Step) -> Condition | None:
    """Return what holds for rows behind the value in this column alone; None where no row can be."""
    column = step.term.column.sql
    if step.value is None:
        return None if step.term.descending else Condition(f"{column} IS NOT NULL")
    mark, bind = _bound(step.value)
    if not step.term.descending:
        return Condition(f"{column} > {mark}", (bind,))
    if step.nulls_follow:
        return Condition(f"({column} < {mark} OR {column} IS NULL)", (bind,))
    return Condition(f"{column} < {mark}", (bind,))


def _tied(step: _Step, rest: list[_Step]) -> Condition:
    """Return what holds for rows that equal the value in this column and stand behind the place in the others."""
    column = step.term.column.sql
    if not rest:
        return _NEVER
    deeper = _behind(rest)
    if step.value is None:
        return Condition(f"({column} IS NULL AND {deeper.sql})", deeper.params)
    mark, bind = _bound(step.value)
    return Condition(f"({column} = {mark} AND {deeper.sql})", (bind, *deeper.params))


def _bound(value: Value | ExactText) -> tuple[str, Value]:
    if isinstance(value, ExactText):
        return "CAST(? AS TEXT)", value.data
    return "?", value


def write_cursor(order: Order, place: Place) -> str:
    """Return `place` as the opaque text that a client sends back in `after`."""
    values = [[value.data] if isinstance(value, ExactText) else value for value in place]
    packed = msgspec.msgpack.encode(_Cursor(_VERSION, order.mark, values))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_cursor(order: Order, text: str) -> Place:
    """Return the place that `text` holds.

    Raises:
        InvalidCursor: It is none, or one of another order or table.
    """
    if len(text) > MAX_CURSOR_CHARACTERS:
        raise InvalidCursor(
            f"the cursor has {len(text)} characters; at most {MAX_CURSOR_CHARACTERS} are allowed"
        )
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.msgpack.decode(packed, type=_Cursor)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise InvalidCursor(
            "`after` is no cursor: send back the `next` of a page, or leave it out"
        ) from error
    width = len(order.terms) if order.total else 1
    if cursor.version != _VERSION or cursor.mark != order.mark or len(cursor.values) != width:
        raise InvalidCursor("`after` belongs to another order or table: start again without it")
    return tuple(_read(value) for value in cursor.values)


def _read(value: Any) -> Value | ExactText:
    match value:
        case [bytes() as data]:
            return ExactText(data)
        case int() if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise InvalidCursor("`after` holds a number that no row has: start again without it")
        case None | int() | float() | str() | bytes():
            return value
        case _:
            raise InvalidCursor("`after` holds what no row has: start again without it")

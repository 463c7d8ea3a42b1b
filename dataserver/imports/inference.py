"""Which type a column gets, from all the values the file holds for it.

What a column has held is a set of flags, and merging two is `|`: the order of the lines cannot matter. The rule is
that nothing may change: a column is INTEGER or REAL only if every value comes back as it was, else TEXT (CSV, where
the text is the truth) or ANY (JSON, where each value keeps its own type). So `007` and a 20-digit number stay text,
and integers beyond 2^53 are not mixed into a REAL column.
"""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

ColumnType = Literal["INTEGER", "REAL", "TEXT", "ANY"]

EMPTY = 1  # a JSON null; in CSV, nothing between two commas
INTEGER = 2
WIDE = 4  # an integer beyond 2^53: a double does not hold it
REAL = 8
TEXT = 16
BOOLEAN = 32
NESTED = 64  # a JSON object or array, kept as JSON text
HUGE = 128  # an integer beyond 64 bits, kept as its digits

_EXACT_IN_DOUBLE = 2**53
_LEAST, _MOST = -(2**63), 2**63 - 1
_INTEGER_TEXT = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_REAL_TEXT = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_MAX_REAL_DIGITS = 17  # what the shortest exact form of a double may need
_BY_TYPE: dict[type, int] = {
    type(None): EMPTY,
    bool: BOOLEAN,
    str: TEXT,
    dict: NESTED,
    list: NESTED,
    float: REAL,
}


def seen_in_json(value: object) -> int:
    """Return the flag of one decoded JSON value."""
    return _BY_TYPE.get(type(value)) or _integer_flag(value)  # type: ignore[arg-type]  # JSON has no other type


def seen_in_csv(text: str) -> int:
    """Return the flag of one CSV field."""
    if not text:
        return EMPTY
    if _INTEGER_TEXT.fullmatch(text):
        return _integer_flag(int(text))
    if _REAL_TEXT.fullmatch(text):
        mantissa = re.split("[eE]", text)[0]
        digits = sum(c.isdigit() for c in mantissa.lstrip("-0."))
        is_whole = mantissa == text and "." not in text  # an integer too long for 64 bits, or -0
        if not is_whole and digits <= _MAX_REAL_DIGITS and _is_plain(float(text), mantissa):
            return REAL
    return TEXT


def _is_plain(number: float, mantissa: str) -> bool:
    """Tell whether the text neither overflowed to infinity nor vanished to zero."""
    return math.isfinite(number) and (number != 0 or not mantissa.strip("-0."))


def _integer_flag(number: int) -> int:
    if -_EXACT_IN_DOUBLE <= number <= _EXACT_IN_DOUBLE:
        return INTEGER
    return WIDE if _LEAST <= number <= _MOST else HUGE


def type_of_json(seen: int) -> ColumnType:
    """Return the type of a column that held `seen` in JSON."""
    held = seen & ~EMPTY
    if held and not held & ~(INTEGER | WIDE | BOOLEAN):
        return "INTEGER"
    if held & REAL and not held & ~(INTEGER | REAL):
        return "REAL"
    if held and not held & ~(TEXT | NESTED):
        return "TEXT"
    return "ANY"


def type_of_csv(seen: int) -> ColumnType:
    """Return the type of a column that held `seen` in CSV."""
    held = seen & ~EMPTY
    if held and not held & ~(INTEGER | WIDE):
        return "INTEGER"
    if held & REAL and not held & ~(INTEGER | REAL):
        return "REAL"
    return "TEXT"


def stored_json(value: object) -> object:
    """Return what a decoded JSON value is stored as: true and false as 1 and 0, nested ones as JSON text."""
    kind = type(value)
    if kind is str or value is None or kind is float:
        return value
    if kind is bool:
        return int(value)  # type: ignore[call-overload]  # mypy does not narrow by `type() is`
    if kind is int:
        return value if _LEAST <= value <= _MOST else str(value)  # type: ignore[operator]  # as above
    return msgspec.json.encode(value).decode()


def stored_csv(text: str, column: ColumnType) -> object:
    """Return what a CSV field is stored as in a column of that type.

    Nothing is NULL in a number's column and the empty text in a text's. A field that does not fit its column
    (a file appended to a table that another one shaped) is left as it is, for SQLite to refuse by line.
    """
    if column == "TEXT":
        return text
    if not text:
        return None
    seen = seen_in_csv(text)
    if column == "INTEGER" and seen & (INTEGER | WIDE):
        return int(text)
    if column == "REAL" and seen & (INTEGER | REAL):
        return float(text)
    return text

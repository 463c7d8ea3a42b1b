r"""SQL that makes SQLite write the answer, as JSON, NDJSON or CSV. Pure.

A query becomes `WITH q(c0, c1, ...) AS (query) SELECT CAST(group_concat(json_object('id', c0, ...)) AS BLOB) FROM q`:
one step with the interpreter lock released, no row becomes a Python object, and the bytes go to the socket as they
are. Measured (7 columns, microseconds, 2026-11, 2 busy cores; to objects):

    rows                       1        5       20       50      200     1,000
    tuples, dict, msgspec    4.1     15.0     48.2      109      418     2,137
    SQLite, guarded          4.2      7.6     27.0     58.9      227     1,086
    SQLite, proven           3.3      6.3     21.6     40.1      151       716

So there is one way for all sizes, and one spelling of every value; what one row could win by tuples is under the
noise. `group_concat` and not `json_group_array`: as quick (62 against 60 ms for 100,000 rows), and it never holds more
than LIMIT_LENGTH, where the other grew to 108 MB before it saw a limit of 1 MB.

What a value becomes (the encoder for what can't be wrapped, `row_encoding`, writes the same bytes):

    NULL, NaN           null; SQLite stores NaN as NULL
    INTEGER             all its digits, beyond 2**53 too: exact for whoever reads integers exactly. The setting
                        `json_big_integers` makes those beyond 2**53 strings, for JavaScript
    REAL                as SQLite writes it: 17 digits where 15 don't suffice, so the same double comes back;
                        -0.0 is 0.0
    Infinity            null. SQLite writes 9.0e+999, which JSON's grammar allows but msgspec, orjson and
                        serde refuse, so one value would spoil the whole answer
    TEXT                a string, JSON texts too: what SQLite does with JSON depends on the plan, an answer must
                        not. NUL is \u0000. What is not UTF-8 becomes U+FFFD, as `bytes.decode` with "replace" does
                        (refused where SQLite can't write the answer itself: it can't be fetched as text there)
    BLOB                {"$base64": "..."}
    two equal names     the second is `name_2`, or the next number that no column has

**A BLOB is a trap**: most raise, but one that looks like JSONB becomes a value without a word (x'00' null, x'1331'
1). So a column is guarded by `c >= x''` (true for BLOBs only; cheaper than typeof) unless it is proven: a rowid, or a
typed column of a STRICT table, read by a statement with a single SELECT. With UNION SQLite names the origin of the
first part only, so nothing is proven where more than one SELECT is.

**An expression is computed once, and its text is a text**: SQLite may copy an expression to each use of its column
(then `random()` is two values, and the guard looks at another than the one written), and a column of json_each passes
as JSON rather than as text. Neither happens across a co-routine, which `LIMIT -1` around the query and `WHERE 1` behind
it make of it (SQLite never merges a query with LIMIT into one with WHERE); its cost is under the noise.

Infinity is too rare for a guard (7 columns of 100,000 rows: 20 ms): the answer is searched for `e+999`, and only if
that is there, in a text even, the statement runs again with a guard, and keeps it. A first look for `+` alone makes
the search cheap: 1.0 ms for 15.8 MB against 8.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Shape = Literal["objects", "arrays"]
Format = Literal["json", "ndjson", "csv"]

BLOB_FUNCTION = "blob_base64"
"""The SQL function, made by each connection, that writes a BLOB."""
BLOB_KEY = "$base64"
MAX_OBJECT_COLUMNS = 500
"""json_object takes 1,000 arguments, two a column."""
MAX_ARRAY_COLUMNS = 1_000
MAX_CSV_COLUMNS = 999
MAX_EXACT_INTEGER = 2**53 - 1
"""Beyond it JavaScript's numbers have holes."""


class Origin(Enum):
    """What is known of a column before it is read."""

    PROVEN = "never a BLOB: a rowid, or a typed column of a STRICT table"
    STORED = "a column of a table, of any type"
    COMPUTED = "an expression, or a column of a statement with several SELECTs or with json_each"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result."""

    name: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class JsonRules:
    """How the values are written where there is a choice."""

    big_integers_as_strings: bool = False
    infinity_is_guarded: bool = False
    """Off until an answer has shown that it is needed; see the module."""


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return `names` with those that were there before numbered: a, a, a_2 become a, a_3, a_2."""
    originals = list(names)
    taken = set(originals)
    seen: set[str] = set()
    result: list[str] = []
    for original in originals:
        name, number = original, 2
        if original in seen:
            while (name := f"{original}_{number}") in taken:
                number += 1
            taken.add(name)
        seen.add(original)
        result.append(name)
    return tuple(result)


def can_wrap(column_count: int, form: Shape | Format) -> bool:
    """Return whether SQLite's functions take as many arguments as `form` needs."""
    if form == "csv":
        return 0 < column_count <= MAX_CSV_COLUMNS
    return 0 < column_count <= (MAX_ARRAY_COLUMNS if form == "arrays" else MAX_OBJECT_COLUMNS)


def whole_answer(sql: str, columns: Sequence[Column], shape: Shape, rules: JsonRules) -> str:
    """Return SQL whose one value is the rows of `sql` as JSON without the outer brackets, NULL for no rows."""
    return _wrapped(sql, columns, f"CAST(group_concat({_row(columns, shape, rules)}) AS BLOB)")


def row_by_row(sql: str, columns: Sequence[Column], shape: Shape, rules: JsonRules) -> str:
    """Return SQL with one value for each row of `sql`: its JSON."""
    return _wrapped(sql, columns, f"CAST({_row(columns, shape, rules)} AS BLOB)")


def csv_lines(sql: str, columns: Sequence[Column]) -> str:
    """Return SQL with one value for each row of `sql`: its line of CSV, without the line's end.

    Text is always in quotes, so that NULL (nothing) and empty text ("") differ; BLOBs are base64 without quotes;
    numbers are as in JSON, and the infinities are spelled out.
    """
    cells = ", ".join(_csv_cell(f"c{place}") for place in range(len(columns)))
    return _wrapped(sql, columns, f"CAST(concat_ws(',', {cells}) AS BLOB)")


def text_as_bytes(sql: str, columns: Sequence[Column]) -> str:
    """Return SQL with two values for each of `sql`: whether it is text, and the value with text as a BLOB.

    For rows whose text is not UTF-8, which can't be fetched as text.
    """
    cells = ", ".join(
        f"typeof(c{place})='text', CASE typeof(c{place}) WHEN 'text' THEN CAST(c{place} AS BLOB) ELSE c{place} END"
        for place in range(len(columns))
    )
    return _wrapped(sql, columns, cells)


def _wrapped(sql: str, columns: Sequence[Column], result: str) -> str:
    name = "q"
    folded = sql.lower()
    while name in folded:  # a table of that name inside `sql` would be taken for the wrapping itself
        name += "_q"
    places = ", ".join(f"c{place}" for place in range(len(columns)))
    # S608: `sql` was prepared alone and is one statement that reads, see `inspection`
    if any(column.origin is Origin.COMPUTED for column in columns):
        inner = f"SELECT * FROM ({sql}\n) LIMIT -1"  # noqa: S608
        return f"WITH {name}({places}) AS ({inner}) SELECT {result} FROM {name} WHERE 1"  # noqa: S608
    return f"WITH {name}({places}) AS ({sql}\n) SELECT {result} FROM {name}"  # noqa: S608


def _row(columns: Sequence[Column], shape: Shape, rules: JsonRules) -> str:
    values = [_json_value(f"c{place}", column.origin, rules) for place, column in enumerate(columns)]
    if shape == "arrays":
        return f"json_array({', '.join(values)})"
    keys = map(_literal, unique_names(column.name for column in columns))
    return f"json_object({', '.join(f'{key}, {value}' for key, value in zip(keys, values, strict=True))})"


def _json_value(value: str, origin: Origin, rules: JsonRules) -> str:
    cases = []
    if origin is not Origin.PROVEN:
        cases.append(f"WHEN {value}>=x'' THEN json_object('{BLOB_KEY}', {BLOB_FUNCTION}({value}))")
    if rules.infinity_is_guarded:
        cases.append(f"WHEN +{value}=9e999 OR +{value}=-9e999 THEN NULL")
    if rules.big_integers_as_strings:
        exact = f"+{value} BETWEEN -{MAX_EXACT_INTEGER} AND {MAX_EXACT_INTEGER}"
        cases.append(f"WHEN typeof({value})='integer' AND NOT ({exact}) THEN CAST({value} AS TEXT)")
    return f"CASE {' '.join(cases)} ELSE {value} END" if cases else value


def _csv_cell(value: str) -> str:
    return (
        f"CASE typeof({value}) WHEN 'null' THEN '' WHEN 'integer' THEN {value}"
        f""" WHEN 'text' THEN '"'||replace({value}, '"', '""')||'"'"""
        f" WHEN 'blob' THEN {BLOB_FUNCTION}({value})"
        f" ELSE CASE +{value} WHEN 9e999 THEN 'Infinity' WHEN -9e999 THEN '-Infinity' ELSE json_quote({value}) END END"
    )


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"

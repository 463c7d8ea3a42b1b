"""Rows to JSON, NDJSON and CSV in Python, byte for byte as SQLite writes them (`json_results`).

For what can't stand inside another query: PRAGMA, EXPLAIN, and rows of more columns than SQLite's functions take.
"""

from __future__ import annotations

import binascii
import codecs
from typing import TYPE_CHECKING, Any

import msgspec

from storage.sqlite.json_results import BLOB_KEY, MAX_EXACT_INTEGER, unique_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from storage.sqlite.json_results import Format, JsonRules, Shape

_INFINITY = float("inf")
_SLICE_BYTES = 1024 * 1024
"""Answers are looked at in slices, since a decoded one may take four times its bytes."""
_json_text = msgspec.json.Encoder().encode


def base64_of(value: Any) -> str:
    """Return `value`, a BLOB, as base64; this is also the SQL function of connections."""
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def row_encoder(
    names: Sequence[str], form: Shape | Format, rules: JsonRules, real: Callable[[float], str]
) -> Callable[[Sequence[Any]], bytes]:
    """Return what turns a row of columns `names` into bytes; `real` writes a finite double as SQLite does."""

    def json_value(value: Any) -> bytes:
        if value is None:
            return b"null"
        if isinstance(value, str):
            return _json_text(value)
        if isinstance(value, int):
            if rules.big_integers_as_strings and abs(value) > MAX_EXACT_INTEGER:
                return b'"%d"' % value
            return b"%d" % value
        if isinstance(value, float):
            return b"null" if abs(value) == _INFINITY else real(value).encode("ascii")
        return b'{"%s":"%s"}' % (BLOB_KEY.encode("ascii"), base64_of(value).encode("ascii"))

    def csv_cell(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return '"' + value.replace('"', '""') + '"'
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            if abs(value) == _INFINITY:
                return "Infinity" if value > 0 else "-Infinity"
            return real(value)
        return base64_of(value)

    def array(row: Sequence[Any]) -> bytes:
        return b"[" + b",".join(map(json_value, row)) + b"]"

    keys = [_json_text(name) for name in unique_names(names)]

    def json_object(row: Sequence[Any]) -> bytes:
        pairs = zip(keys, row, strict=True)
        return b"{" + b",".join(b"%s:%s" % (key, json_value(value)) for key, value in pairs) + b"}"

    def line(row: Sequence[Any]) -> bytes:
        return ",".join(map(csv_cell, row)).encode()

    if form == "csv":
        return line
    return array if form == "arrays" else json_object


def csv_header(names: Iterable[str]) -> bytes:
    """Return the first line of a CSV answer, with its end."""
    return ",".join('"' + name.replace('"', '""') + '"' for name in unique_names(names)).encode() + b"\r\n"


def valid_utf8(answer: bytes) -> bytes:
    """Return `answer` with what is not UTF-8 replaced by U+FFFD, as `bytes.decode` with "replace" does it.

    A broken sequence inside a JSON string never swallows the quote behind it: that byte can't continue one.
    """
    if answer.isascii():
        return answer
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(answer), _SLICE_BYTES):
            decoder.decode(answer[start : start + _SLICE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return answer.decode("utf-8", "replace").encode()
    return answer

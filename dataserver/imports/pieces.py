"""One piece of a stream of rows, stored by the writer: runs inside a writing worker, as a function of `Database.write`.

The piece comes as bytes and is taken apart here, so that the event loop never sees a row. What is as it should be goes
the quick way: a piece is decoded whole, and its rows run through one prepared statement. If anything is odd (a blank
line, a line that is none, other columns, a quoted line end), the piece is read again record by record, which finds and
names the bad ones.

Figures (2026-11-23, 2 cores shared with others; rows of 77 bytes and five columns with one index, decoded and stored in one
transaction): a statement a row, prepared once, 190k to 250k rows/s; 250 rows a statement 135k to 175k; `json_each` over
the bytes 134k to 208k. Later that day, by CPU time under a load of 2 to 4: SQLite alone, rows made by a statement of its own,
500k to 570k rows/s with the index and 1,000k without; bound row by row 330k to 460k, as the cache is small or large; decoded
too, 280k to 310k; hand-written with dicts 210k to 240k; `jsonb_each` 280k to 390k, where a line could be two rows and a
number another. So 300k rows/s is the end of one core here, and this way stays. With pages kept (`expect_many_rows`) the
workers took 8 to 19 % less CPU time, their start included.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import astuple

from dataserver.imports.column_names import quoted
from dataserver.imports.csv_rows import read_csv_rows
from dataserver.imports.inference import stored_json
from dataserver.imports.json_rows import read_json_rows
from dataserver.imports.records import MAX_RECORD_BYTES, BadRecord, Position, Record
from storage import ParameterMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from storage import StorageError, WriteTransaction

    Rows = Sequence[Sequence[Any]]

Format = Literal["ndjson", "csv"]

_BLOB_NAMES = {"$base64"}
_MAX_DECODERS_COUNT = 64
_PLAIN = frozenset({str, int, float, bool, type(None)})
_decode_first = msgspec.json.Decoder(dict[str, Any]).decode


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows go, and how they come."""

    table: str
    columns: dict[str, bool]
    """All columns of the table, with whether the empty text is a text there; in CSV it is NULL elsewhere."""
    format: Format
    delimiter: str = ","
    header: bytes = b""
    """The first line of a CSV, with its end."""
    stop_at_bad: bool = True
    max_errors_count: int = 100


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the stream that begins with a record."""

    content: bytes
    line_number: int
    """How many lines came before."""
    is_last: bool


class Stored(msgspec.Struct, kw_only=True):
    """What became of a piece."""

    row_count: int = 0
    bad_count: int = 0
    errors: list[tuple[int, str]] = msgspec.field(default_factory=list)
    """The first bad lines, with what is wrong."""
    size_bytes: int = 0
    """How much of the piece is done; the rest is a record that is not whole yet."""
    line_count: int = 0


def store_piece(transaction: WriteTransaction, target: dict[str, Any], piece: dict[str, Any]) -> Any:
    """Store the rows of a piece and return what became of it, as `Stored` in plain values.

    With `stop_at_bad` nothing behind the first bad line is stored; what is before it is, so the caller rolls back.
    """
    where = msgspec.convert(target, Target)
    if where.stop_at_bad:  # the whole import is one transaction
        transaction.expect_many_rows()
    storing = _Storing(transaction, where)
    storing.store(msgspec.convert(piece, Piece))
    return msgspec.to_builtins(storing.stored)


class _Stopped(Exception):
    """A line is bad, and nothing behind it is wanted."""


class _Storing:
    def __init__(self, transaction: WriteTransaction, target: Target) -> None:
        self._transaction = transaction
        self._target = target
        self.stored = Stored()

    def store(self, piece: Piece) -> None:
        read = _quick_csv if self._target.format == "csv" else _quick_json
        quick = read(piece, self._target)
        try:
            if quick is None:
                self._store_slowly(piece)
            else:
                names, rows = quick
                self._insert(names, rows, range(piece.line_number + 1, piece.line_number + 1 + len(rows)))
                self.stored.size_bytes, self.stored.line_count = len(piece.content), len(rows)
        except _Stopped:
            return

    def _store_slowly(self, piece: Piece) -> None:
        names: tuple[str, ...] = ()
        rows: list[list[Any]] = []
        numbers: list[int] = []
        skipped_bytes = len(self._target.header)
        for record in _records(piece, self._target):
            if isinstance(record, BadRecord):
                if record.is_cut_off and not piece.is_last and len(piece.content) < MAX_RECORD_BYTES:
                    break
                found: tuple[tuple[str, ...], list[Any]] | str = record.reason
            else:
                found = self._taken(record)
            if isinstance(found, str) or found[0] != names:
                self._insert(names, rows, numbers)
                rows, numbers = [], []
            if isinstance(found, str):
                self._refuse(record.line_number, found)
            else:
                names = found[0]
                rows.append(found[1])
                numbers.append(record.line_number)
            self.stored.size_bytes = record.after.offset - skipped_bytes
            self.stored.line_count = record.after.line_number - piece.line_number
        else:
            self.stored.size_bytes = len(piece.content)  # blank lines may be the last
            self.stored.line_count = piece.content.count(b"\n") + (not piece.content.endswith(b"\n"))
        self._insert(names, rows, numbers)

    def _taken(self, record: Record) -> tuple[tuple[str, ...], list[Any]] | str:
        """Return the columns of a record and their values, or why it has no place in the table."""
        known = self._target.columns
        values = []
        for name, value in record.values.items():
            if name not in known:
                return f"the table has no column {name!r}"
            if self._target.format == "csv":
                values.append(None if value == "" and not known[name] else value)
                continue
            try:
                values.append(_stored_value(value))
            except ValueError as error:
                return f"the column {name!r} is no base64 text: {error}"
        return tuple(record.values), values

    def _insert(self, names: tuple[str, ...], rows: Rows, numbers: Sequence[int]) -> None:
        if not rows:
            return
        marks = ", ".join("?" * len(names))
        columns = ", ".join(map(quoted, names))
        sql = f"INSERT INTO {quoted(self._target.table)} ({columns}) VALUES ({marks})"  # noqa: S608 - quoted
        if not names:
            sql = f"INSERT INTO {quoted(self._target.table)} DEFAULT VALUES"

        done_count = 0

        def refused(place: int, error: StorageError) -> None:
            nonlocal done_count
            self.stored.row_count += place - done_count
            done_count = place + 1
            mended = [_stored_value(value) for value in rows[place]]
            if (
                isinstance(error, ParameterMismatch) and mended != rows[place]
            ):  # an integer of more than 64 bits
                self._insert(names, [mended], numbers[place : place + 1])
            else:
                self._refuse(numbers[place], str(error))

        self._transaction.execute_each(sql, rows, refused)
        self.stored.row_count += len(rows) - done_count

    def _refuse(self, line_number: int, reason: str) -> None:
        self.stored.bad_count += 1
        if len(self.stored.errors) < self._target.max_errors_count:
            self.stored.errors.append((line_number, reason))
        if self._target.stop_at_bad:
            raise _Stopped


def _records(piece: Piece, target: Target) -> Iterator[Record | BadRecord]:
    if target.format == "ndjson":
        return read_json_rows(io.BytesIO(piece.content), Position(0, piece.line_number))
    stream = io.BytesIO(target.header + piece.content)
    return read_csv_rows(stream, Position(len(target.header), piece.line_number), delimiter=target.delimiter)


def _stored_value(value: object) -> object:
    """Return a decoded JSON value as it is stored: bytes that an export wrote, or as the importer of files does it."""
    if isinstance(value, dict) and value.keys() == _BLOB_NAMES:
        try:
            return base64.b64decode(value["$base64"], validate=True)
        except (binascii.Error, TypeError) as error:
            raise ValueError(str(error)) from error
    return stored_json(value)


@lru_cache(maxsize=_MAX_DECODERS_COUNT)
def _row_decoder(names: tuple[str, ...]) -> Callable[[bytes], msgspec.Struct]:
    """Return what decodes an object of just these fields; quicker than into a dict, and strict about them."""
    fields = [(f"field_{place}", Any, msgspec.field(name=name)) for place, name in enumerate(names)]
    kind = msgspec.defstruct("Row", fields, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(kind).decode


def _quick_json(piece: Piece, target: Target) -> tuple[tuple[str, ...], Rows] | None:
    """Return the columns and rows of a piece whose lines are all alike; None for every other one."""
    lines = piece.content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    try:
        names = tuple(_decode_first(lines[0]))
        if not target.columns.keys() >= set(names):
            return None
        rows: Rows = list(map(astuple, map(_row_decoder(names), lines)))
        if not _PLAIN.issuperset(map(type, chain.from_iterable(rows))):
            rows = [[_stored_value(value) for value in row] for row in rows]
    except (msgspec.DecodeError, ValueError, IndexError):
        return None
    return names, rows


def _quick_csv(piece: Piece, target: Target) -> tuple[tuple[str, ...], Rows] | None:
    """Return the columns and rows of a piece with a record a line; None for every other one."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    try:
        lines = piece.content.decode().split("\n")
        if not lines[-1]:
            lines.pop()
        header = target.header.decode("utf-8-sig").rstrip("\r\n")
        (names, *rows) = csv.reader([header, *lines], delimiter=target.delimiter, strict=True)
    except (csv.Error, UnicodeDecodeError):
        return None
    if len(rows) != len(lines) or any(len(row) != len(names) for row in rows):
        return None
    if not target.columns.keys() >= set(names) or len(set(names)) != len(names):
        return None
    nullable = [place for place, name in enumerate(names) if not target.columns[name]]
    values: list[list[Any]] = [*rows]
    for row in values:
        for place in nullable:
            row[place] = row[place] or None
    return tuple(names), values

"""One look over a whole file before anything is written: which fields it has, of which types, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from dataserver.imports.column_names import MAX_COLUMN_COUNT
from dataserver.imports.csv_rows import read_csv_rows
from dataserver.imports.inference import (
    ColumnType,
    seen_in_csv,
    seen_in_json,
    stored_csv,
    stored_json,
    type_of_csv,
    type_of_json,
)
from dataserver.imports.json_rows import read_json_rows
from dataserver.imports.records import START, BadRecord, Position, Record, UnreadableFile
from dataserver.imports.source_file import SourceFile, open_source
from dataserver.imports.table_plan import Column

Format = Literal["jsonl", "csv"]

_AS_THEY_ARE = frozenset({str, float, type(None)})
"""Types of JSON values that are stored as they are; a call a value would take longer than the rest of the work."""
_TELL_EVERY_RECORDS = 5_000


class BadLine(Exception):
    """A line is bad and the import was told to stop at one."""

    def __init__(self, bad: BadRecord, *, stored_count: int) -> None:
        before = (
            f"; the {stored_count:,} rows before it are stored, and --on-error skip goes on after it"
            if stored_count
            else "; nothing was imported"
        )
        super().__init__(f"line {bad.line_number}: {bad.reason}{before}")
        self.line_number = bad.line_number
        self.stored_count = stored_count


@dataclass(frozen=True)
class Reading:
    """How a file is read: what it is, and what separates its fields if it is CSV."""

    path: Path
    format: Format
    delimiter: str = ","

    def records(self, stream: BinaryIO, start: Position = START) -> Iterator[Record | BadRecord]:
        """Yield what the file holds from `start` on."""
        if self.format == "csv":
            return read_csv_rows(stream, start, delimiter=self.delimiter)
        return read_json_rows(stream, start)

    def storing(self, columns: Sequence[Column]) -> Callable[[Record], list[object]]:
        """Return what makes a record the values of `columns`; what it lacks is NULL."""
        fields = [column.field for column in columns]
        types = [column.type for column in columns]
        if self.format == "csv":
            return lambda record: [
                stored_csv(str(record.values[field]), kind) for field, kind in zip(fields, types, strict=True)
            ]
        return lambda record: [
            value if type(value) in _AS_THEY_ARE else stored_json(value)
            for value in map(record.values.get, fields)
        ]


def surveyed(
    reading: Reading, *, stop_at_bad: bool, progress: Callable[[SourceFile], None]
) -> dict[str, ColumnType]:
    """Return the fields of the file in the order they appear, with their types.

    Raises:
        BadLine: A line is bad, and `stop_at_bad`; nothing was written anywhere.
        UnreadableFile: There is no record in the file, or it has too many fields.
    """
    look, decide = (seen_in_csv, type_of_csv) if reading.format == "csv" else (seen_in_json, type_of_json)
    seen: dict[str, int] = {}
    with open_source(reading.path) as source:
        for record in _told(reading.records(source.stream), source, progress):
            if isinstance(record, BadRecord):
                if stop_at_bad:
                    raise BadLine(record, stored_count=0)
                continue
            for field, value in record.values.items():
                seen[field] = seen.get(field, 0) | look(value)  # type: ignore[arg-type]  # csv: texts only
            if len(seen) > MAX_COLUMN_COUNT:
                raise UnreadableFile(
                    f"more than {MAX_COLUMN_COUNT} different fields by line {record.line_number}"
                )
    if not seen:
        raise UnreadableFile(f"{reading.path} holds no records")
    return {field: decide(flags) for field, flags in seen.items()}


def _told(
    records: Iterable[Record | BadRecord], source: SourceFile, progress: Callable[[SourceFile], None]
) -> Iterator[Record | BadRecord]:
    for count, record in enumerate(records):
        if count % _TELL_EVERY_RECORDS == 0:
            progress(source)
        yield record
    progress(source)

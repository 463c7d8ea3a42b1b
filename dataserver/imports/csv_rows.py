"""CSV with a header line, UTF-8, quoted as RFC 4180 says; every value is a text.

A record may span lines, so a quote that nobody closes would swallow the rest of the file. Reading is strict and
bounded, and a record that fails gives back all its lines but the first: one slip costs one line.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from dataserver.imports.column_names import distinct
from dataserver.imports.lines import Line, read_lines
from dataserver.imports.records import MAX_RECORD_BYTES, START, BadRecord, Position, Record, UnreadableFile


class _Feed:
    """The lines as texts for `csv.reader`, remembered until the record they belong to is done."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._given_back: deque[Line] = deque()
        self.taken: list[Line] = []
        self.is_at_end = False
        """Whether more was asked for than there is, since the record began."""
        self._taken_bytes = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else next(self._lines, None)
        if line is None:
            self.is_at_end = True
            raise StopIteration
        self.taken.append(line)
        self._taken_bytes += len(line.content)
        if line.is_too_long or self._taken_bytes > MAX_RECORD_BYTES:
            raise csv.Error(f"longer than {MAX_RECORD_BYTES} bytes")
        return line.content.decode()

    def begin(self) -> None:
        """Forget the lines of the last record."""
        self.taken = []
        self.is_at_end = False
        self._taken_bytes = 0

    def give_back(self) -> Line:
        """Put back all lines of a failed record but its first, and return that one."""
        first, *rest = self.taken
        self._given_back.extendleft(reversed(rest))
        return first


def read_csv_rows(
    stream: BinaryIO, start: Position = START, *, delimiter: str = ","
) -> Iterator[Record | BadRecord]:
    """Yield the records from `start` on (the header's names are read from the beginning all the same).

    Raises:
        UnreadableFile: There is no header line.
    """
    csv.field_size_limit(MAX_RECORD_BYTES)
    names, after_header = _header(stream, delimiter)
    feed = _Feed(read_lines(stream, start if start.offset else after_header))
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, UnicodeDecodeError) as error:
            is_cut_off = feed.is_at_end
            first = feed.give_back()
            yield BadRecord(f"not CSV: {error}", first.number, first.after, is_cut_off)
            continue
        number, after = feed.taken[0].number, feed.taken[-1].after
        if len(fields) == len(names):
            yield Record(dict(zip(names, fields, strict=True)), number, after)
        elif fields:  # an empty line is no record
            yield BadRecord(f"{len(fields)} fields, but the header has {len(names)}", number, after)


def _header(stream: BinaryIO, delimiter: str) -> tuple[list[str], Position]:
    feed = _Feed(read_lines(stream))
    try:
        fields = next(csv.reader(feed, delimiter=delimiter, strict=True), None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UnreadableFile(f"the header line is not CSV: {error}") from error
    if not fields:
        raise UnreadableFile("the file has no header line")
    return distinct(fields), feed.taken[-1].after

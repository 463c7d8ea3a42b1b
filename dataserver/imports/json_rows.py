"""JSON lines: one object a line, UTF-8.

Blank lines are passed over. Numbers keep their exactness (an integer of any length stays one); a number that no
double can hold, a half surrogate pair or a line that is no object is a bad line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from dataserver.imports.lines import read_lines
from dataserver.imports.records import MAX_RECORD_BYTES, START, BadRecord, Position, Record


def read_json_rows(stream: BinaryIO, start: Position = START) -> Iterator[Record | BadRecord]:
    """Yield the objects from `start` on, and a complaint for each line that is none."""
    decoder = msgspec.json.Decoder(dict[str, object])
    for line in read_lines(stream, start):
        if line.is_too_long:
            yield BadRecord(f"longer than {MAX_RECORD_BYTES} bytes", line.number, line.after)
            continue
        if line.content.isspace() or not line.content:
            continue
        try:
            values = decoder.decode(line.content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield BadRecord(f"not a JSON object: {error}", line.number, line.after)
        else:
            yield Record(values, line.number, line.after)

"""Lines of bytes with their place, none longer than a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from dataserver.imports.records import MAX_RECORD_BYTES, START, Position

_SKIP_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line with its line end; `content` is cut short when `is_too_long`."""

    content: bytes
    number: int
    after: Position
    is_too_long: bool = False


def read_lines(
    stream: BinaryIO, start: Position = START, *, max_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Line]:
    """Yield the lines from `start` on; a byte order mark at the file's beginning is dropped."""
    stream.seek(start.offset)
    offset = start.offset
    number = start.line_number
    while content := stream.readline(max_bytes + 1):
        size = len(content)
        is_too_long = size > max_bytes
        if is_too_long and not content.endswith(b"\n"):
            size += _skip_to_line_end(stream)
        if offset == 0 and content.startswith(_BOM):
            content = content[len(_BOM) :]
        offset += size
        number += 1
        kept = content[:max_bytes] if is_too_long else content
        yield Line(kept, number, Position(offset, number), is_too_long)


def _skip_to_line_end(stream: BinaryIO) -> int:
    skipped = 0
    while piece := stream.readline(_SKIP_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped

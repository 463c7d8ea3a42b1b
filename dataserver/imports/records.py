"""What every reader of a file yields: a record or a complaint, and where reading goes on after it.

Offsets count bytes of the *decompressed* stream, so that a gzip file resumes like any other. Structs, not dataclasses: there are three a line, and
making them took a third of the time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""A longer line (or quoted CSV record) is a bad one; it is passed over without being held in memory."""


class UnreadableFile(Exception):
    """The file as a whole cannot be read: it is missing, no gzip though it says so, or has no header."""


class Position(msgspec.Struct, frozen=True, gc=False):
    """A place between two records."""

    offset: int = 0
    line_number: int = 0
    """How many lines lie before it."""


START = Position()


class Record(msgspec.Struct, frozen=True):
    """One record that could be read."""

    values: Mapping[str, object]
    line_number: int
    """Where it begins, from 1."""
    after: Position


class BadRecord(msgspec.Struct, frozen=True):
    """One line that could not, and why."""

    reason: str
    line_number: int
    after: Position
    is_cut_off: bool = False
    """The stream ended inside of it; with more of the stream it might be a good one."""

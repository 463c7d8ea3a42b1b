"""Files in the format of SQLite's sqllogictest: records parted by blank lines, each a statement or a query. Pure.

The results that stand in the files are passed over: what counts here is whether all ways agree. A record is left out
where `skipif sqlite` or `onlyif` another engine stands before it; `halt` ends a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENGINE = "sqlite"
_RESULTS = "----"
_CONTROLS = frozenset({"hash-threshold", "control", "require", "mode", "subtest", "sleep"})


@dataclass(frozen=True, slots=True)
class Record:
    """One statement of a file."""

    line: int
    """Where it begins, from 1."""
    sql: str


class BadRecord(Exception):
    """The text is no sqllogictest."""


def records(text: str) -> Iterator[Record]:
    """Yield the statements of a file in their order.

    Raises:
        BadRecord: A record is of no known kind.
    """
    for line, block in _blocks(text):
        is_left_out = False
        for place, words in enumerate(each.partition("#")[0].split() for each in block):
            match words:
                case ["skipif", engine]:
                    is_left_out = is_left_out or engine == _ENGINE
                case ["onlyif", engine]:
                    is_left_out = is_left_out or engine != _ENGINE
                case ["halt"]:
                    if not is_left_out:
                        return
                case ["statement" | "query", *_]:
                    if not is_left_out:
                        yield Record(line + place, _sql(block[place + 1 :], line + place))
                    break
                case [word, *_] if word in _CONTROLS:
                    continue
                case _:
                    raise BadRecord(f"line {line + place}: {block[place]!r} begins no record")


def _sql(lines: list[str], line: int) -> str:
    if _RESULTS in lines:
        lines = lines[: lines.index(_RESULTS)]
    if not lines:
        raise BadRecord(f"line {line}: the record has no SQL")
    return "\n".join(lines)


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines between blank ones, without comments, and where each block begins."""
    block: list[str] = []
    begin = 1
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.startswith("#"):
            continue
        if line.strip():
            if not block:
                begin = number
            block.append(line.rstrip())
        elif block:
            yield begin, block
            block = []

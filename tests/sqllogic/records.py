"""Files in the format of SQLite's sqllogictest: records parted by blank lines, each a statement or a query. Pure.

The results that stand in the files are passed over: what counts here is whether all ways agree. A record is left out
where `skipif sqlite` or `onlyif` another engine stands before it; `halt` ends a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ENGINE = "sqlite"
_RESULTS = "----"
_SORTED = frozenset({"rowsort", "valuesort"})
_CONTROLS = frozenset({"hash-threshold", "control", "require", "mode", "subtest", "sleep"})


@dataclass(frozen=True, slots=True)
class Record:
    """One statement of a file."""

    line: int
    """Where it begins, from 1."""
    sql: str
    is_query: bool = False
    """It only asks, so that those after it don't need it."""
    is_ordered: bool = True
    """The order of its rows is said by it; a file tells of a query whose is not that its results are sorted."""


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
                case ["statement" | "query" as kind, *how]:
                    if not is_left_out:
                        sql = _sql(block[place + 1 :], line + place)
                        is_ordered = _SORTED.isdisjoint(how)
                        yield Record(line + place, sql, is_query=kind == "query", is_ordered=is_ordered)
                    break
                case [word, *_] if word in _CONTROLS:
                    continue
                case _:
                    raise BadRecord(f"line {line + place}: {block[place]!r} begins no record")


def sampled(found: Sequence[Record], max_queries: int) -> Iterator[Record]:
    """Yield all statements of a file in their order, and at most `max_queries` of its queries, evenly taken; 0 for all."""
    query_count = sum(record.is_query for record in found)
    taken = min(query_count, max_queries) if max_queries else query_count
    place = 0
    for record in found:
        if record.is_query:
            place += 1
            if place * taken // query_count == (place - 1) * taken // query_count:
                continue
        yield record


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

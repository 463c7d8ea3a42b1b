"""How SQLite will run a statement: its plan as a tree, and what in it grows with the table. Pure.

SQLite tells its plan in lines of words, which are for people and may change with its version. So a line that is not
known is kept as it is and means nothing else; what is known names full scans, sorts, and the indexes that SQLite makes
for the length of one statement because nobody made them for good.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SCAN = re.compile(r"SCAN (?P<table>.+?)(?: LEFT-JOIN| RIGHT-JOIN)?")
_AUTOMATIC = re.compile(
    r"SEARCH (?P<table>.+?) USING AUTOMATIC (?:PARTIAL )?(?:COVERING )?INDEX \((?P<terms>.*?)\).*"
)
_SORT = re.compile(r"USE TEMP B-TREE FOR (?P<purpose>.+)")
_OWN = re.compile(r"(?:CO-ROUTINE|MATERIALIZE) (?P<name>.+)")
_COLUMN = re.compile(r"(\w+)[=<>]")
_GUIDED = re.compile(r" (?:USING|VIRTUAL TABLE) ")
"""An index alone is read, or a virtual table, which knows its own ways."""
_NO_TABLES = frozenset({"CONSTANT ROW"})


class PlanStep(msgspec.Struct, frozen=True):
    """A step, in SQLite's words, and the steps inside it."""

    detail: str
    steps: list[PlanStep] = []


class MissingIndex(msgspec.Struct, frozen=True):
    """An index that the statement makes for itself each time it runs; `table` is the name that it has in the statement."""

    table: str
    columns: list[str]


class QueryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a statement will be run."""

    steps: list[PlanStep]
    full_scans: list[str]
    """The tables, by their names in the statement, of which every row is looked at."""
    missing_indexes: list[MissingIndex]
    sorts: list[str]
    """What is sorted aside, because no index has its order: ORDER BY, GROUP BY, DISTINCT."""


def plan_of(rows: Iterable[Sequence[Any]]) -> QueryPlan:
    """Return the plan that `rows` of EXPLAIN QUERY PLAN (id, parent, something, detail) tell."""
    root: list[PlanStep] = []
    inside: dict[int, list[PlanStep]] = {0: root}
    details: list[str] = []
    for number, parent, _, detail in rows:
        step = PlanStep(detail, [])
        inside.get(parent, root).append(step)
        inside[number] = step.steps
        details.append(detail)
    own = {found["name"] for found in map(_OWN.fullmatch, details) if found}
    scans = [
        found["table"] for found in map(_SCAN.fullmatch, details) if found and not _GUIDED.search(found[0])
    ]
    return QueryPlan(
        steps=root,
        full_scans=_once(table for table in scans if table not in own | _NO_TABLES),
        missing_indexes=[
            MissingIndex(found["table"], _COLUMN.findall(found["terms"]))
            for found in map(_AUTOMATIC.fullmatch, details)
            if found
        ],
        sorts=_once(found["purpose"] for found in map(_SORT.fullmatch, details) if found),
    )


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))

"""What can be told from the text of a statement without preparing it. Pure.

Only the first word and what follows the first statement are looked at; what a statement may touch is the
authorizer's business, which sees what SQLite made of the text. A wrong guess here costs time, never safety.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import lru_cache

_BLANK = re.compile(
    r"(?:[\s;]++|--[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z))*+"
)  # possessive: linear in time
_WORD = re.compile(r"[A-Za-z]*")
_ROWS_ONLY = frozenset({"DELETE", "INSERT", "REPLACE", "SELECT", "UPDATE", "VALUES", "WITH"})
_BUILDS_INDEX = re.compile(r"(?:CREATE\s+(?:UNIQUE\s+)?INDEX|REINDEX|ANALYZE)\b", re.IGNORECASE)
_CACHED_CHARS = 4096
"""Longer texts are looked at each time, so that the cache stays below 4 MiB."""


def first_word(sql: str) -> str:
    """Return the first word of `sql` in capitals, past blanks and comments; empty when there is none."""
    blank = _BLANK.match(sql)
    word = _WORD.match(sql, blank.end() if blank else 0)
    return word.group().upper() if word else ""


def is_blank(sql: str) -> bool:
    """Return whether `sql` holds nothing but blanks, semicolons and comments."""
    return _BLANK.fullmatch(sql) is not None


def changes_rows_only(sql: str) -> bool:
    """Return whether `sql` reads or writes rows, rather than the schema or the whole file."""
    return _short_changes_rows_only(sql) if len(sql) <= _CACHED_CHARS else _changes_rows_only(sql)


def builds_index(sql: str) -> bool:
    """Return whether `sql` reads a whole table for the sake of an index or of the planner."""
    if sql[:1] in "IiUuDdSsWw":  # most statements, told apart at once
        return False
    blank = _BLANK.match(sql)
    return _BUILDS_INDEX.match(sql, blank.end() if blank else 0) is not None


def _changes_rows_only(sql: str) -> bool:
    return first_word(sql) in _ROWS_ONLY


_short_changes_rows_only = lru_cache(maxsize=1024)(_changes_rows_only)


class HeavyTexts:
    """The texts of statements that once took more steps than company allows, the latest `limit` of them.

    SQLite can't say beforehand how long a statement will run. So the first one to overstep is stopped, its
    transaction is replayed, and from then on its text runs alone until it is found to be light again.
    """

    def __init__(self, limit: int = 1024, *, max_chars: int = 16_384) -> None:
        self._limit = limit
        self._max_chars = max_chars
        self._texts: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, sql: str) -> bool:
        return sql in self._texts

    def __bool__(self) -> bool:
        return bool(self._texts)

    def add(self, sql: str) -> None:
        """Remember `sql` as heavy; a text of more than `max_chars` is not kept, and is found out each time."""
        if len(sql) > self._max_chars:
            return
        self._texts[sql] = None
        self._texts.move_to_end(sql)
        if len(self._texts) > self._limit:
            self._texts.popitem(last=False)

    def discard(self, sql: str) -> None:
        """Forget `sql`, which was light this time."""
        self._texts.pop(sql, None)

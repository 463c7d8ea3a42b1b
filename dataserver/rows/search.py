"""A search among the rows of a page: `?search=` in FTS5's own language, ranked, with a snippet of each row. Pure.

The matches are joined to the table before filters, order and place, so that all of these work as without a search; rows
gain a column `_rank` (bm25: the smaller, the better) which is the order of a search that names none. Snippets are made for
the rows of the page alone, not for all matches.

Ranks depend on all rows of the table. A cursor holds them exactly, so pages of one snapshot (`?snapshot=`) never skip or
repeat a row; without one, a write between two pages may shift the ranks of others, and so may skip or repeat some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from dataserver.refusals import InvalidParameter
from dataserver.rows.columns import Column, quoted
from dataserver.rows.filters import Condition
from storage import search_table

if TYPE_CHECKING:
    from storage import TableInfo

RANK: Final = "_rank"
SNIPPET: Final = "_snippet"
RANK_COLUMN: Final = Column(RANK, "real", nullable=False)
MAX_SEARCH_CHARACTERS: Final = 1_000
_SNIPPET_TOKENS: Final = 24
_MATCHES: Final = '"the matches"'
_COMPLAINTS: Final = ("fts5: ", "no such column: ", "unknown special query", "unterminated string")
"""How SQLite begins to say that a search is none."""


class Search(msgspec.Struct, frozen=True, gc=False):
    """What is searched for in a table."""

    table: str
    key: str
    text: str

    @property
    def source(self) -> Condition:
        """What stands behind FROM in place of the table: its rows that match, each with its rank."""
        name, table, key = quoted(search_table(self.table)), quoted(self.table), quoted(self.key)
        # S608: names are quoted, values bound
        matches = f"SELECT rowid AS match_id, bm25({name}) AS match_rank FROM {name} WHERE {name} MATCH ?"  # noqa: S608
        joined = f"{table} JOIN ({matches}) AS {_MATCHES} ON {table}.{key} = {_MATCHES}.match_id"
        return Condition(f"(SELECT {table}.*, {_MATCHES}.match_rank AS {RANK} FROM {joined})", (self.text,))  # noqa: S608

    def with_snippets(self, rows: Condition) -> Condition:
        """Return the statement `rows` with a snippet beside each row; its order is kept."""
        name, key = quoted(search_table(self.table)), quoted(self.key)
        snippet = (
            f"SELECT snippet({name}, -1, '[', ']', '…', {_SNIPPET_TOKENS}) FROM {name} WHERE {name} MATCH ?"  # noqa: S608
        )
        return Condition(
            f"SELECT page.*, ({snippet} AND rowid = page.{key}) AS {SNIPPET} FROM ({rows.sql}) AS page",  # noqa: S608
            (self.text, *rows.params),
        )


def search_of(text: str | None, info: TableInfo) -> Search | None:
    """Return what `?search=` asks for; None where it does not.

    Raises:
        InvalidParameter: It is empty or too long, or the table has no search index.
    """
    if text is None:
        return None
    if not text.strip() or len(text) > MAX_SEARCH_CHARACTERS or "\0" in text:
        raise InvalidParameter(
            f"search has {len(text)} characters; 1 to {MAX_SEARCH_CHARACTERS} are allowed, and no NUL"
        )
    if not info.searched_columns:
        raise InvalidParameter(
            f"the table {info.name!r} has no search index; PUT .../tables/{info.name}/search makes one"
        )
    return Search(info.name, info.primary_key[0], text)


def refused_search(complaint: str) -> InvalidParameter | None:
    """Return what the client is told if SQLite's `complaint` is one about the search; None if not."""
    if not complaint.startswith(_COMPLAINTS):
        return None
    return InvalidParameter(
        f"search is no query: {complaint.removeprefix('fts5: ')}; words in double quotes are taken as they are",
        allowed=[
            "word",
            '"a phrase"',
            "begin*",
            "a AND b",
            "a OR b",
            "a NOT b",
            "column : word",
            "NEAR(a b, 5)",
        ],
    )

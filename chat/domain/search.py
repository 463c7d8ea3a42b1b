"""Words looked for in the messages of all rooms that a user may read, by SQLite's FTS5 and in its syntax.

`word other` finds both, `"a phrase"`, `begin*`, `one OR other`, `one NOT other`, `NEAR(one other)`; letters of either
case, with or without accents. A run of Chinese, Japanese or Thai letters is one word to it.

The best of the newest `max_ranked_hits` matches are found by BM25, so that a word which is everywhere costs no more; or
the newest, page after page behind the id of the last one. Rooms that the user may not read are left out by the statement,
before anything is counted. Measured on 256,000 messages, 2 busy cores (2026-11): a word of most of them, best 123 ms, newest
3 ms, for who may read none of them 416 and 76 ms; two rare words 16 and 3 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from chat.domain.refusals import InvalidValue
from storage import SqlError

if TYPE_CHECKING:
    from chat.domain.limits import ChatLimits
    from chat.domain.rates import RateLimit
    from chat.domain.tables import Tables

MARKS: Final = "\ue000\ue001"
"""What stands before and after a word that was found, in a snippet."""
_NEWEST: Final = 2**62


@dataclass(frozen=True, kw_only=True)
class SearchQuery:
    """What is looked for, and where."""

    query: str
    order: Literal["best", "newest"] = "best"
    room_id: int | None = None
    space_id: int | None = None
    sender_id: int | None = None
    skip: int = 0
    """Of the best, so many were seen."""
    before: int | None = None
    """Of the newest, those before this message."""
    limit: int = 20


class Search:
    """Finds messages."""

    def __init__(self, tables: Tables, limits: ChatLimits, pace: RateLimit) -> None:
        self._tables = tables
        self._limits = limits
        self._pace = pace

    async def find(self, user_id: int, wanted: SearchQuery) -> bytes:
        """Return what is found as JSON, each with the message as it is now and a snippet of it.

        Raises:
            InvalidValue: The query is none that FTS5 understands, or is too long.
            TooOften: The user searched too often in too short a time.
        """
        self._check(wanted)
        self._pace.take(user_id)
        limits = self._limits
        where = (wanted.query, user_id, wanted.room_id, wanted.space_id, wanted.sender_id)
        count = limits.page_count(wanted.limit)
        try:
            if wanted.order == "best":
                skip = min(max(wanted.skip, 0), limits.max_ranked_hits)
                return await self._tables.text("search_best", *where, skip, count, limits.max_ranked_hits)
            before = _NEWEST if wanted.before is None else wanted.before
            return await self._tables.text("search_newest", *where, before, count)
        except SqlError as error:
            raise InvalidValue(
                f'the query is not understood: {error}; put what is no syntax in quotes: "..."', field="q"
            ) from error

    def _check(self, wanted: SearchQuery) -> None:
        most = self._limits.max_query_characters
        if not 0 < len(wanted.query) <= most:
            raise InvalidValue(
                f"the query has {len(wanted.query)} characters; 1 to {most} are allowed", field="q"
            )
        if wanted.query.lstrip().startswith("*") or "\0" in wanted.query:
            raise InvalidValue("a query begins with a word, and has no NUL", field="q")

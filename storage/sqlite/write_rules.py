"""What a caller's statement may do on a writing connection, and how long.

It is one statement; no transaction control (a caller's COMMIT would commit half a batch), ATTACH, VACUUM or PRAGMA, and
no temporary thing, which would stay on the connection for everybody. SQLite asks the authorizer when it prepares a
statement, not when it finds it in the statement cache: so statements of our own never go into that cache.
"""

from __future__ import annotations

import apsw

from storage.errors import NotAllowed, SqlError, WriteTimedOut
from storage.sqlite.changes import altered_table, refusal_about_log
from storage.sqlite.connection import Deadline
from storage.sqlite.statements import first_word, is_blank
from storage.sqlite.untrusted import refusal

_TEMPORARY = frozenset(
    {
        apsw.SQLITE_CREATE_TEMP_INDEX,
        apsw.SQLITE_CREATE_TEMP_TABLE,
        apsw.SQLITE_CREATE_TEMP_TRIGGER,
        apsw.SQLITE_CREATE_TEMP_VIEW,
    }
)


class WriteAuthorizer:
    """Answers SQLite's questions about statements that write."""

    __slots__ = ("altered", "is_altering", "is_ours", "refused")

    def __init__(self) -> None:
        self.altered: set[str] = set()
        """Tables that were altered, or got a trigger or an index, since the transaction began."""
        self.is_altering = False
        """Set when an ALTER TABLE was prepared; cleared by whoever begins another statement."""
        self.is_ours = False
        """Set while statements of this package are prepared, which may do anything."""
        self.refused = ""
        """Why the last statement that was refused was."""

    def __call__(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,  # noqa: ARG002 - SQLite gives it
        trigger: str | None,
    ) -> int:
        """Answer SQLite."""
        if self.is_ours:
            return apsw.SQLITE_OK
        why: str | None
        if action == apsw.SQLITE_PRAGMA:
            why = None if self._is_internal(first, second) else f"PRAGMA {first} is not allowed in a write"
        elif action in _TEMPORARY:
            why = "temporary tables, indexes, triggers and views are not allowed"
        else:
            why = refusal(action, first, second) or refusal_about_log(action, first, second, trigger)
        if why is None:
            table = altered_table(action, second)
            if table is not None:
                self.altered.add(table)
            self.is_altering = self.is_altering or action == apsw.SQLITE_ALTER_TABLE
            return apsw.SQLITE_OK
        self.refused = why
        return apsw.SQLITE_DENY

    def _is_internal(self, name: str | None, value: str | None) -> bool:
        """Return whether SQLite runs this PRAGMA by itself: ADD COLUMN checks the table, FTS5 and R*Tree ask."""
        if name == "quick_check":
            return self.is_altering
        return name in {"data_version", "page_size"} and value is None


def require_one_statement(sql: str, first: str, *, is_empty: bool) -> None:
    """Refuse `sql` unless `first`, the statement that SQLite found at its beginning, is all of it.

    Raises:
        SqlError: There is none (`is_empty`), or more than one.
        NotAllowed: It is VACUUM, about which SQLite does not ask the authorizer.
    """
    if is_empty:
        raise SqlError("there is no statement in the text")
    if not is_blank(sql[len(first) :]):
        raise SqlError("there is more than one statement in the text", offset=len(first.encode()))
    if first_word(first) == "VACUUM":
        raise NotAllowed("VACUUM is not allowed")


class Watch:
    """The progress handler of a writing connection.

    A request that has the transaction to itself ends at its deadline or when it is interrupted. One in company ends
    when the handler was called `max_calls_count` times, and for no other reason, since its neighbours pay for it.
    """

    __slots__ = ("_deadline", "calls_count", "is_alone", "max_calls_count")

    def __init__(self, max_calls_count: int) -> None:
        self._deadline = Deadline()
        self.max_calls_count = max_calls_count
        self.calls_count = 0
        self.is_alone = False

    def __call__(self) -> bool:
        """Return whether the statement is to be stopped."""
        self.calls_count += 1
        return self._deadline() if self.is_alone else self.is_heavy

    @property
    def is_heavy(self) -> bool:
        """Whether the request that runs has taken more steps than company allows."""
        return self.calls_count > self.max_calls_count

    def begin(self, deadline: float | None) -> None:
        """Watch a transaction: of one request until `deadline` (0.0 for none), of several if it is None."""
        self.is_alone = deadline is not None
        self._deadline.at = deadline or 0.0
        self._deadline.stopped = False
        self.calls_count = 0

    def stop(self) -> None:
        """Have the request that runs alone stopped at the next look; any thread may call this."""
        self._deadline.stopped = True

    def require_time(self) -> None:
        """Raise `WriteTimedOut` if the request that runs alone is to be stopped."""
        if self.is_alone and self._deadline():
            raise WriteTimedOut("the write was stopped and nothing was written")

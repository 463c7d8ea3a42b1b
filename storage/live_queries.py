"""Queries whose answer is given again when it has changed: run once for all who ask the same, whoever wrote.

What a statement reads is what SQLite asks the authorizer about, views seen through; all of these tables have to be
followed. After changes in them the statement runs again, once for as many changes as came meanwhile, and who waits is
told only if the answer is another. One answer is held for each statement that somebody listens to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakValueDictionary

import anyio
import msgspec

from storage.changes import ChangeFeed, Cursor
from storage.errors import HistoryLost, TableNotFollowed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from storage.change_log import ChangeLog

T = TypeVar("T")

_FOREVER_S = 3_600.0


class LiveQuery(Generic[T]):
    """The answers to one statement, for one reader; made by `Database.live_query` or `Database.live_json`."""

    def __init__(self, answer: LiveAnswer[T]) -> None:
        self._answer = answer
        self._seen_number = 0

    @property
    def cursor(self) -> Cursor | None:
        """A place in the log whose changes the last answer shows, and perhaps some after it."""
        return self._answer.cursor

    async def next_answer(self, wait_s: float) -> T | None:
        """Return the next answer that differs from the last, waiting up to `wait_s`; None if there is none by then.

        The first is there at once. Answers that were overtaken by others are passed over.

        Raises:
            TableNotFollowed: A table that the statement reads is not followed, or not any more.
            StorageError: As `Database.query`; calling again is safe.
        """
        log = self._answer.log
        stirs = log.stirs
        await self._answer.refresh(stirs)
        if self._answer.number == self._seen_number and wait_s > 0:
            await log.wait(stirs, wait_s)
            await self._answer.refresh(log.stirs)
        if self._answer.number == self._seen_number:
            return None
        self._seen_number = self._answer.number
        return self._answer.value

    def __aiter__(self) -> LiveQuery[T]:
        return self

    async def __anext__(self) -> T:
        while (found := await self.next_answer(_FOREVER_S)) is None:
            pass
        return found


class LiveAnswer(Generic[T]):
    """The answer to one statement as it stands, shared by all who asked for it."""

    def __init__(
        self,
        log: ChangeLog,
        read: Callable[[], Awaitable[T]],
        tables: Callable[[], Awaitable[Sequence[str]]],
    ) -> None:
        self.log = log
        self.number = 0
        """Of the answer; 0 before the first."""
        self.value: T | None = None
        self._read = read
        self._tables = tables
        self._feed: ChangeFeed | None = None
        self._is_due = True
        self._fresh_at = -1
        """How many stirs there had been when it was found to be up to date."""
        self._refreshed: anyio.Event | None = None
        """Set when the refresh under way has ended: all who wait for it go on in one turn, not one a turn as at a lock."""

    @property
    def cursor(self) -> Cursor | None:
        """Where its feed stands."""
        return None if self._feed is None else self._feed.cursor

    async def refresh(self, stirs: int) -> None:
        """Have the answer show all that was written before there were `stirs`.

        Raises:
            StorageError: See `LiveQuery.next_answer`; it is tried again the next time.
        """
        while self._fresh_at < stirs:
            if self._refreshed is not None:
                await self._refreshed.wait()
                continue
            refreshed = self._refreshed = anyio.Event()
            try:
                await self._refresh()
            finally:
                self._refreshed = None
                refreshed.set()

    async def _refresh(self) -> None:
        now = self.log.stirs
        await self._catch_up()
        if self._is_due:
            value = await self._read()
            if self.number == 0 or value != self.value:
                self.value = value
                self.number += 1
            self._is_due = False
        self._fresh_at = now

    async def _catch_up(self) -> None:
        """Pass over what was changed; after that, the answer is due if it may be another."""
        if self._feed is None:
            feed = ChangeFeed(self.log, await self._tables(), None)
            await feed.begin()
            self._feed = feed
            return None
        while True:
            before = self._feed.cursor
            try:
                page = await self._feed.page(0)
            except HistoryLost:
                self._feed, self._is_due = None, True
                return await self._catch_up()
            if page:
                self._is_due = True
            if any(change.op == "unfollow" for change in page):
                self._feed = None
                raise TableNotFollowed("a table that the statement reads is not followed any more")
            if self._feed.cursor == before:
                return None


class LiveAnswers:
    """The answers of one database that somebody listens to."""

    def __init__(self) -> None:
        self._held: WeakValueDictionary[bytes, LiveAnswer[Any]] = WeakValueDictionary()

    def shared(self, key: Sequence[Any], made: Callable[[], LiveAnswer[T]]) -> LiveQuery[T]:
        """Return a reader of the answer under `key`, which is what MessagePack carries."""
        packed = msgspec.msgpack.encode(key)
        answer = self._held.get(packed)
        if answer is None:
            answer = self._held[packed] = made()
        return LiveQuery(answer)

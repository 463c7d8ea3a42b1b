"""Tells how many actions there are after something has changed, and not more often than so."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from chat.queue.clock import Wake
from chat.queue.storage_troubles import read_patiently

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from chat.queue.views import Statistics


class StatisticsFeed:
    """The latest statistics of a queue, for any number of followers; `run` is its task."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Statistics]],
        debounce_s: float,
        *,
        on_told: Callable[[], None] = lambda: None,
    ) -> None:
        self._read = read
        self._debounce_s = debounce_s
        self._on_told = on_told
        self._wake = Wake()
        self._is_stale = True
        self._waiting_count = 0
        self._told = anyio.Event()
        self.latest: Statistics | None = None

    def stir(self) -> None:
        """Have them told again: something was committed."""
        self._is_stale = True
        if self._waiting_count:
            self._wake.set()

    async def read(self) -> Statistics:
        """Return the statistics of now, however long the file is busy."""
        return await read_patiently(self._read, "chat.statistics_delayed")

    async def run(self) -> None:
        """Read and tell, at most once in the debounce time, while somebody waits; runs for ever."""
        while True:
            await self._wake.wait()
            await anyio.sleep(self._debounce_s)
            self._wake.clear()
            self._is_stale = False
            self.latest = await self.read()
            told, self._told = self._told, anyio.Event()
            told.set()
            self._on_told()

    def follow(self) -> FollowedStatistics:
        """Return the statistics now, and then whenever they have changed."""
        return FollowedStatistics(self)

    async def told(self) -> None:
        """Return when the statistics were read after the last change."""
        told = self._told
        with self.waited_for():
            await told.wait()

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Have them read after a change, as somebody waits."""
        self._waiting_count += 1
        if self._is_stale:
            self._wake.set()
        try:
            yield
        finally:
            self._waiting_count -= 1


class FollowedStatistics:
    """An endless sequence of statistics, no two neighbours alike; it may be left at any time."""

    def __init__(self, feed: StatisticsFeed) -> None:
        self._feed = feed
        self._seen: Statistics | None = None

    def __aiter__(self) -> FollowedStatistics:
        return self

    async def __anext__(self) -> Statistics:
        if self._seen is None:
            self._seen = await self._feed.read()
            return self._seen
        while self._feed.latest is None or self._feed.latest == self._seen:
            await self._feed.told()
        self._seen = self._feed.latest
        return self._seen

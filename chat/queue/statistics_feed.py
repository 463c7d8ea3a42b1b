"""Tells how many actions there are after something has changed, and not more often than so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from chat.queue.clock import Wake

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from chat.queue.views import Statistics


class StatisticsFeed:
    """The latest statistics of a queue, for any number of followers; `run` is its task."""

    def __init__(self, read: Callable[[], Awaitable[Statistics]], debounce_s: float) -> None:
        self._read = read
        self._debounce_s = debounce_s
        self._wake = Wake()
        self._latest: Statistics | None = None
        self._told = anyio.Event()
        self._followers_count = 0

    def stir(self) -> None:
        """Have them told again: something was committed."""
        if self._followers_count:
            self._wake.set()

    async def run(self) -> None:
        """Read and tell, at most once in the debounce time; runs for ever."""
        while True:
            await self._wake.wait()
            await anyio.sleep(self._debounce_s)
            self._wake.clear()
            latest = await self._read()
            if latest != self._latest:
                self._latest = latest
                self._told.set()
                self._told = anyio.Event()

    async def follow(self) -> AsyncGenerator[Statistics]:
        """Yield the statistics now, and whenever they have changed."""
        self._followers_count += 1
        try:
            seen = self._latest = await self._read()
            yield seen
            while True:
                told = self._told
                if self._latest == seen:
                    await told.wait()
                seen = self._latest
                yield seen
        finally:
            self._followers_count -= 1

"""All that a program is told of its queue, in one sequence: actions, notices for people, and how many there are.

`action.*` and `session.expired` are the rows of the log, so none is missed after a cursor; a notice comes right after
the event that it is about. `queue.updated` is of the moment: it comes first, and then at most once in
`statistics_debounce_s` while something changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chat.queue.events import Event
from chat.queue.notices import Notice

if TYPE_CHECKING:
    from chat.queue.events import Followed, Log
    from chat.queue.notices import Catalogue
    from chat.queue.statistics_feed import StatisticsFeed
    from chat.queue.views import Statistics


class QueueUpdated(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="queue.updated"):
    """How many actions the queue holds by now; see `Statistics`."""

    pending: int
    processing: int
    failed: int
    completed: int
    total: int
    """With those that were taken back."""

    @property
    def name(self) -> str:
        """What it is called where events of several sources meet."""
        return "queue.updated"


News = Event | Notice | QueueUpdated


class FollowedNews:
    """An endless sequence of news; it may be left at any time."""

    def __init__(
        self, log: Log, followed: Followed, statistics: StatisticsFeed, catalogue: Catalogue
    ) -> None:
        self._log = log
        self._followed = followed
        self._statistics = statistics
        self._catalogue = catalogue
        self._notice: Notice | None = None
        self._told: Statistics | None = None

    @property
    def cursor(self) -> int:
        """The number of the event that was given last, from which to follow again."""
        if self._notice is not None:
            return self._notice.seq - 1
        return self._followed.seen

    def __aiter__(self) -> FollowedNews:
        return self

    async def __anext__(self) -> News:
        if self._told is None:
            self._told = await self._statistics.read()
            return _updated(self._told)
        while True:
            news = self._log.news()
            found = await self._look()
            if found is not None:
                return found
            with self._statistics.waited_for():
                await news.wait()

    async def _look(self) -> News | None:
        if self._notice is not None:
            notice, self._notice = self._notice, None
            return notice
        event = await self._followed.look()
        if event is not None:
            self._notice = self._catalogue.notice(event)
            return event
        latest = self._statistics.latest
        if latest is not None and latest != self._told:
            self._told = latest
            return _updated(latest)
        return None


def _updated(counted: Statistics) -> QueueUpdated:
    return QueueUpdated(
        pending=counted.pending,
        processing=counted.processing,
        failed=counted.failed,
        completed=counted.completed,
        total=counted.total,
    )

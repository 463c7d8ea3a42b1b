"""What a program sees of its open queue: actions as they stand, why they wait, how many there are, what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.queue.news import FollowedNews
from chat.queue.notices import Catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chat.queue.engine import Engine
    from chat.queue.events import Followed
    from chat.queue.states import State
    from chat.queue.statistics_feed import FollowedStatistics
    from chat.queue.views import ActionView, Statistics, Why


class Looking:
    """The reading half of an `ActionQueue`; nothing here changes an action."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def is_online(self) -> bool:
        """Whether there is contact with the server, as far as this process knows."""
        return self._engine.runner.contact.may_deliver()

    async def find(self, client_id: str) -> ActionView:
        """Return an action as it stands.

        Raises:
            ActionNotFound: There is none.
        """
        return await self._engine.views.find(client_id)

    async def some(
        self,
        *,
        state: State | None = None,
        type_name: str | None = None,
        lane: str | None = None,
        account: str | None = None,
        after: int = 0,
        count: int = 100,
    ) -> list[ActionView]:
        """Return up to `count` actions in the order they came, those after the place `after`; fewer if they are large.

        None are returned only if there are no more.
        """
        return await self._engine.views.some(
            state=state, type_name=type_name, lane=lane, account=account, after=after, count=count
        )

    async def explain(self, client_id: str) -> Why:
        """Return why an action is where it is: "it is behind send-message, which is failed: 403".

        Raises:
            ActionNotFound: There is none.
        """
        return await self._engine.views.why(client_id, self._engine.runner.contact)

    async def statistics(self, type_name: str = "") -> Statistics:
        """Return how many actions there are, of a type or of all; the cost does not depend on how many."""
        return await self._engine.views.statistics(type_name)

    def follow_statistics(self) -> FollowedStatistics:
        """Return the statistics now and when they have changed, at most once in `statistics_debounce_s`."""
        return self._engine.statistics.follow()

    async def newest_event(self) -> int:
        """Return the number of the newest event: take it first, then a snapshot, then follow from it."""
        return await self._engine.events.newest()

    def follow_events(self, after: int) -> Followed:
        """Return the events after the number `after`, and then each as it happens, in any process; see `Followed`."""
        return self._engine.events.follow(after)

    def follow_news(self, after: int, texts: Mapping[str, str] | None = None) -> FollowedNews:
        """Return all that a program is told, in one sequence: `action.*`, `session.expired`, `notice`, `queue.updated`.

        It begins with the counts of now and the events after the number `after`. `texts` replace those of notices, as
        a translation does: by `TYPE.success` or `TYPE.failure`; where the error is to stand they have `{error}`, and an
        empty one says nothing. `notice_texts` lists what there is.

        Raises:
            ValueError: There is no notice of such a name.
        """
        engine = self._engine
        catalogue = Catalogue(engine.packing.types, texts)
        return FollowedNews(engine.events, engine.events.follow(after), engine.statistics, catalogue)

    def notice_texts(self) -> dict[str, str]:
        """Return the texts of all notices of the types known by now, by name: what a translation replaces."""
        return Catalogue(self._engine.packing.types).texts()

    async def cursor(self, name: str) -> int:
        """Return the number of the event that the reader `name` has seen, 0 for a new one."""
        return await self._engine.events.cursor(name)

    async def move_cursor(self, name: str, seq: int) -> None:
        """Note that the reader `name` has seen all events up to `seq`; what it has not is kept, within a limit."""
        await self._engine.events.move_cursor(name, seq)

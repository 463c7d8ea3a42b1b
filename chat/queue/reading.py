"""A queue's file as somebody looks at it from beside: reads only, from any process, without a part in the work.

Nothing is claimed, pruned, woken or written, and no type has to be known: a payload is shown as the JSON it is stored
as, and a sealed one as sealed.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec

from chat.errors import NotAQueue
from chat.queue.actions import ActionTypes
from chat.queue.clock import SystemQueueClock
from chat.queue.connectivity import Contact
from chat.queue.events import EventLog
from chat.queue.packing import Packing
from chat.queue.states import State
from chat.queue.tables import STATES, Tables, failure_of
from chat.queue.views import MOST_LISTED_COUNT, ActionView, Views, counted
from chat.statement_texts import load
from storage import DatabaseCorrupt, StorageSettings
from storage import open as open_storage

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator

    from chat.queue.clock import QueueClock
    from chat.queue.events import Followed
    from chat.queue.views import Statistics, Why
    from workers import KeySource

_TABLES_COUNT = 7
_TICK_S = 0.25


class ListedAction(ActionView, frozen=True, kw_only=True):
    """An action as it stands; its payload is the JSON that is stored, None when it was wiped or is sealed."""

    wait_ms: int | None
    """Until it, or its lane, is due; None where that is not the time it waits for."""
    sealed_with: str | None
    """The id of the key that its payload is sealed with."""


class QueueReader:
    """A queue's file, to look at; made by `read_queue`, usable until that is left."""

    def __init__(self, tables: Tables, clock: QueueClock) -> None:
        self._tables = tables
        self._clock = clock
        self._views = Views(tables, Packing(ActionTypes(), clock), clock)
        self._events = EventLog(tables, self._views, clock, tick_s=_TICK_S)

    async def statistics(self) -> Statistics:
        """Return how many actions there are."""
        return await self._views.statistics()

    async def statistics_by_type(self) -> dict[str, Statistics]:
        """Return how many actions there are of each type."""
        counts: dict[str, dict[str, int]] = {}
        for name, state, count in await self._tables.read("counters_by_type"):
            counts.setdefault(name, {})[state] = count
        return {name: counted(each) for name, each in counts.items()}

    async def some(
        self,
        *,
        state: State | None = None,
        type_name: str | None = None,
        lane: str | None = None,
        account: str | None = None,
        due_within_s: float | None = None,
        after: int = 0,
        count: int = 100,
    ) -> list[ListedAction]:
        """Return up to `count` actions in the order they came, those after the place `after`; fewer if they are large.

        `due_within_s` leaves those that may be delivered within so many seconds: 0 for now.
        """
        now_ms = self._clock.boot_ms()
        due_ms = None if due_within_s is None else now_ms + int(1000 * due_within_s)
        wanted = (state, type_name, lane, account, after, due_ms)
        rows = await self._tables.read_some("listed", wanted, min(count, MOST_LISTED_COUNT))
        return [_listed(row, now_ms) for row in rows]

    async def find(self, client_id: str) -> ListedAction:
        """Return an action.

        Raises:
            ActionNotFound: There is none.
        """
        place = (await self._views.find(client_id)).place
        (found,) = await self.some(after=place - 1, count=1)
        return found

    async def explain(self, client_id: str) -> Why:
        """Return why an action is where it is, as far as the file tells: whether there is contact it does not.

        Raises:
            ActionNotFound: There is none.
        """
        return await self._views.why(client_id, Contact())

    async def newest_event(self) -> int:
        """Return the number of the newest event."""
        return await self._events.newest()

    def follow_events(self, after: int) -> Followed:
        """Return the events after the number `after`, and then each as it happens, in any process."""
        return self._events.follow(after)


@asynccontextmanager
async def read_queue(
    path: str | os.PathLike[str], *, key: KeySource | None = None
) -> AsyncIterator[QueueReader]:
    """Open the queue in the existing file `path` to look at it, with its `key` if it has one (`QueueSettings.key`).

    Raises:
        NotAQueue: There is no file, or it holds something else; it is as it was.
        WrongKey, EncryptionUnavailable: The key does not fit the file, or this build of apsw can't encrypt.
        StorageError: It can't be read.
    """
    if not await anyio.Path(path).is_file():
        raise NotAQueue(f"there is no file {Path(path).name}")
    clock = await anyio.to_thread.run_sync(SystemQueueClock.of_this_machine)
    statements = await anyio.to_thread.run_sync(load, "chat.queue.statements")
    keys = {} if key is None else {Path(path).name: key}
    settings = StorageSettings(kind="thread", worker_count=1, plans_by_values=False, keys=keys)
    async with AsyncExitStack() as stack:
        try:
            tables = Tables(await stack.enter_async_context(open_storage(path, settings)), statements)
        except DatabaseCorrupt as error:
            otherwise = ", or encrypted, and no key was given for it" if key is None else ""
            raise NotAQueue(f"{Path(path).name} is no queue{otherwise}: {error}") from error
        ((table_count,),) = await tables.read("own_tables")
        if table_count < _TABLES_COUNT:
            raise NotAQueue(f"{Path(path).name} is a database, and no queue")
        yield QueueReader(tables, clock)


def _listed(row: tuple[Any, ...], now_ms: int) -> ListedAction:
    (place, client_id, name, version, lane, account, state, attempts, created, changed, finished, due_ms) = (
        row[:12]
    )
    carried_by, error, result, key_id, payload = row[12:]
    return ListedAction(
        place=place,
        client_id=client_id,
        type=name,
        version=version,
        lane=lane,
        account=account,
        state=STATES[state],
        attempts=attempts,
        created_at_ms=created,
        changed_at_ms=changed,
        finished_at_ms=finished,
        wait_ms=None if due_ms is None else max(0, due_ms - now_ms),
        carried_by=carried_by,
        failure=failure_of(error),
        result=None if result is None else msgspec.json.decode(result),
        sealed_with=key_id,
        payload=None if payload is None or key_id is not None else msgspec.json.decode(payload),
    )

"""The parts of an open queue and the tasks that keep it going: intake, delivery, hints, housekeeping, statistics.

News follows the commit that it tells of, never the other way round: whoever waits here is woken, readers of the log are
stirred, and other processes are hinted.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import msgspec
import structlog

from chat.errors import ActionNotFound, QueueClosed
from chat.queue.clock import Wake
from chat.queue.control import Cancelled, Control
from chat.queue.digest_secret import digest_secret
from chat.queue.events import EventLog
from chat.queue.handlers import Handlers
from chat.queue.inbox import Inbox
from chat.queue.merging import Merged, Merger
from chat.queue.outbox import Outbox
from chat.queue.peers import NEWS, WORK
from chat.queue.receipts import Ends
from chat.queue.records import Added
from chat.queue.resealing import Resealing
from chat.queue.rounds import Rounds
from chat.queue.runner import Runner
from chat.queue.states import State
from chat.queue.statistics_feed import StatisticsFeed
from chat.queue.storage_troubles import read_patiently
from chat.queue.traces import trace_of
from chat.queue.views import Views

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from chat.queue.clock import QueueClock
    from chat.queue.connectivity import Contact
    from chat.queue.packing import Packing
    from chat.queue.peers import Peers
    from chat.queue.reports import Report
    from chat.queue.settings import QueueSettings
    from chat.queue.tables import Tables
    from chat.queue.tickets import Ticket

_END_DELAYED = "chat.end_delayed"

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Engine:
    """An open queue's parts; `running` is the time in which they work."""

    def __init__(
        self,
        tables: Tables,
        *,
        peers: Peers,
        packing: Packing,
        settings: QueueSettings,
        clock: QueueClock,
        chance: Callable[[], float],
        probe: Callable[[], Awaitable[bool]] | None = None,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.packing = packing
        self.handlers = Handlers(packing.types)
        self.ends = Ends()
        self.views = Views(tables, packing, clock, self.handlers.handles)
        self.control = Control(tables, self.views, packing, clock)
        self.events = EventLog(tables, self.views, clock, tick_s=settings.tick_s)
        self.statistics = StatisticsFeed(
            self.views.statistics, settings.statistics_debounce_s, on_told=self.events.stir
        )
        self._tables = tables
        self._peers = peers
        self._outbox = Outbox(tables)
        self.resealing = Resealing(tables, packing.seal)
        self._failure: Exception | None = None
        self.runner = Runner(
            self._outbox,
            packing=packing,
            handlers=self.handlers,
            settings=settings,
            clock=clock,
            wake=Wake(),
            owner=peers.name,
            chance=chance,
            on_turn=self._on_turn,
            on_contact=self._on_contact,
            probe=probe,
            on_step=on_step,
        )

        self._rounds = Rounds(
            tables,
            settings=settings,
            clock=clock,
            peers=peers,
            resealing=self.resealing,
            runner=self.runner,
            ends=self.ends,
            look_up=self.look_up,
            on_pruned=self._stir,
        )
        self.inbox = Inbox(
            self._outbox,
            Merger(tables, self._outbox, packing, clock),
            max_waiting_count=settings.max_waiting_count,
            max_unwritten_count=settings.max_unwritten_count,
            on_written=self._on_written,
            on_merged=self._on_merged,
            make_room=self._rounds.make_room,
            patience_s=settings.enqueue_patience_s,
            settle_s=settings.settle_s,
            on_step=on_step,
        )

    def changed(self) -> None:
        """Have everybody look, here and in other processes: something was changed by hand."""
        self.runner.heed()
        self._peers.hint(WORK)
        self._stir()

    async def resume_account(self, account: str) -> None:
        """Let the lanes of an account go on: it has logged in."""
        self.runner.note_login(account)
        await self.control.resume_account(account)
        self.changed()

    async def keys_changed(self) -> None:
        """Go on with what waited for a key, and bring what is sealed with older keys under the present one."""
        await self.control.look_for_keys()
        self.changed()
        await self.resealing.run()

    def ends_changed(self, client_ids: Sequence[str]) -> None:
        """Tell those who wait for `client_ids` that they were taken back, and everybody else to look."""
        for client_id in client_ids:
            self.ends.came(client_id, State.CANCELLED)
        self.changed()

    async def answer_to_cancel(self, client_id: str) -> Cancelled:
        """Return what whoever has an action says to the question whether it can be taken back.

        Raises:
            ActionNotFound: There is none any more.
        """
        while True:
            news = self.events.news()
            answer = await self.control.cancel_answer(client_id)
            if answer is not None:
                return answer
            if await self.control.cancel(client_id):  # whoever had it gave it back without having begun it
                self.ends_changed([client_id])
                return Cancelled.CANCELLED
            await news.wait()

    async def look_up(self, client_ids: Sequence[str]) -> None:
        """Tell those who wait for `client_ids` how they ended, where they did."""
        for found in await self._outbox.ends(client_ids):
            result = None if found.result is None else msgspec.json.decode(found.result)
            self.ends.came(
                found.client_id,
                found.state,
                result=result,
                failure=found.failure,
                carried_by=found.carried_by,
            )

    async def look_up_stored(self, client_ids: Sequence[str]) -> None:
        """Likewise, however long the file is busy, of actions that were stored: one that is not there was pruned since."""
        await read_patiently(lambda: self.look_up(client_ids), _END_DELAYED)
        stored = await read_patiently(lambda: self._outbox.digests(client_ids), _END_DELAYED)
        for client_id in client_ids:
            if client_id not in stored:
                self.ends.broke([client_id], ActionNotFound(f"{client_id} ended, and was cleared away since"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work, until this is left; then what is under way gets a while to end."""
        await self._rounds.housekeeping.note_boot()
        self.packing.digest_secret = await digest_secret(self._tables, self.packing.seal)
        await self.control.readmit()
        failure: BaseException | None = None
        async with anyio.create_task_group() as helpers:
            async with anyio.create_task_group() as group:
                for helper in (self._rounds.run, self._listen, self.statistics.run):
                    helpers.start_soon(self._watched, helper, group.cancel_scope)
                for task in (self.inbox.run, self.runner.run):
                    group.start_soon(self._watched, task, group.cancel_scope)
                try:
                    yield
                except BaseException as error:  # noqa: BLE001 - raised again below: the groups would wrap it
                    failure = error
                self.close()
            helpers.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure from failure
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Take nothing more and begin nothing more."""
        self.inbox.close()
        self.runner.stop()
        self.ends.broke(self.ends.open_ids(), QueueClosed("the queue closed first"))

    async def _watched(self, task: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        try:
            await task()
        except Exception as error:  # noqa: BLE001 - raised again by whoever opened the queue
            _log.error("chat.queue_broke", error=type(error).__name__, trace=trace_of(error))
            self._failure = self._failure or error
            self.close()
            scope.cancel()

    # -- what happened --------------------------------------------------------------------------------------------

    def _on_written(self, tickets: Sequence[Ticket]) -> None:
        self.runner.look()
        for ticket in tickets:
            if ticket.error is not None:
                self.events.refuse(ticket.new, ticket.error)
        if any(ticket.error is None for ticket in tickets):
            self._peers.hint(WORK)
            self._stir()

    def _on_merged(self, ticket: Ticket, merged: Merged) -> None:
        if merged.verdict is not Added.STORED:
            return
        client_id = ticket.new.client_id
        if merged.carried_by is not None:
            self.ends.came(client_id, State.CANCELLED, carried_by=merged.carried_by)
        elif merged.is_nothing:
            self.ends.came(client_id, State.DONE)
        for ended_id, carried_by in merged.ended:
            self.ends.came(ended_id, State.CANCELLED, carried_by=carried_by)

    def _on_turn(self, reports: Sequence[Report]) -> None:
        for report in reports:
            entry = report.verdict.entry
            if entry.state.is_final:
                self.ends.came(
                    report.action.client_id, entry.state, result=report.result, failure=entry.failure
                )
        self._peers.hint(NEWS)
        self._stir()

    def _on_contact(self, contact: Contact) -> None:
        _log.info("chat.contact_changed", is_online=contact.may_deliver(), misses=contact.misses)
        self._stir()

    def _on_hint(self, kind: bytes) -> None:
        if kind == WORK:
            self.runner.heed()
        self._rounds.stir()
        self._stir()

    def _stir(self) -> None:
        self.events.stir()
        self.statistics.stir()

    async def _listen(self) -> None:
        await self._peers.listen(self._on_hint)

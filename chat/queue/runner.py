"""The loop that delivers: it claims lanes, runs their handlers, and writes what became of them, a turn at a time.

A turn is one transaction. It holds all that was reported since the last one and the claims for the slots that are
free, so reports collect while a turn is written, and nothing waits for company. A lane goes to the end of the line
after each claim, so a long one does not hold up the others. Handlers run only after the claim is on the disk; events
and receipts follow only after the report is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import structlog
from msgspec.structs import replace

from chat.queue import states
from chat.queue.contacting import Contacting
from chat.queue.held_lanes import HeldLanes
from chat.queue.lane_run import LaneRun
from chat.queue.lanes import CAREFUL_COUNT
from chat.queue.next_turn import Collected, NextTurn, lighter
from chat.queue.pace import SMALL, USUAL, after_turn, claim_size, most_times
from chat.queue.preparing import Preparing
from chat.queue.records import ClaimRequest
from chat.queue.rules import RulesOf
from chat.queue.storage_troubles import MAY_PASS, Patience
from storage import ResultTooLarge, WriteOutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chat.queue.clock import QueueClock, Wake
    from chat.queue.connectivity import Contact
    from chat.queue.handlers import Handlers
    from chat.queue.next_turn import Topics
    from chat.queue.outbox import Outbox
    from chat.queue.packing import Packing
    from chat.queue.records import Lease, Turn, TurnDone
    from chat.queue.reports import Report
    from chat.queue.settings import QueueSettings

AHEAD = 2
"""For each handler that may run, so many lanes are claimed: the next ones begin while a turn is written; see `pace`."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Runner:
    """Delivers the actions of one queue; `run` is its task."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        packing: Packing,
        handlers: Handlers,
        settings: QueueSettings,
        clock: QueueClock,
        wake: Wake,
        owner: str,
        chance: Callable[[], float],
        on_turn: Callable[[Sequence[Report]], None],
        on_contact: Callable[[Contact], None],
        probe: Callable[[], Awaitable[bool]] | None = None,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self._outbox = outbox
        self._handlers = handlers
        self._settings = settings
        self._clock = clock
        self._wake = wake
        self._chance = chance
        self._on_turn = on_turn
        self._on_contact = on_contact
        self._on_step = on_step
        self._next = NextTurn(owner)
        self._contacting = Contacting(
            settings, clock, chance, on_change=self._on_contact_changed, probe=probe
        )
        self._lanes = HeldLanes(outbox, settings, clock, on_ended=wake.set)
        self._preparing = Preparing(
            packing=packing,
            handlers=handlers,
            rules=RulesOf(settings),
            clock=clock,
            handler_wait_ms=int(1000 * settings.handler_wait_s),
        )
        self._pace = USUAL
        self._most_times = most_times(settings.concurrency * AHEAD * settings.claim_count)
        self._logins_ms: dict[str, int] = {}
        self._may_be_due = True
        self._next_due_ms: int | None = None
        self._next_look_ms = 0
        self._is_stopping = False
        self._ending = anyio.CancelScope()

    def look(self) -> None:
        """Look for work: something was stored, or may have become due."""
        self._may_be_due = True
        self._wake.set()

    def heed(self) -> None:
        """Look whether somebody wants actions back that are claimed here."""
        self._next.is_asked = True
        self.look()

    @property
    def contact(self) -> Contact:
        """Whether there is contact with the server."""
        return self._contacting.now

    def go_offline(self) -> None:
        """Deliver nothing until `go_online`; what is under way goes on."""
        self._contacting.hold()

    def go_online(self) -> None:
        """Deliver all that is due, now."""
        self._contacting.let_go()
        self.look()

    def note_login(self, account: str) -> None:
        """What calls say that began before now is about a session of `account` that was replaced."""
        self._logins_ms[account] = self._clock.boot_ms()

    def forget(self, topics: Topics) -> None:
        """Claim lanes of `topics` too, once: nobody has handlers for them, and their time is over."""
        self._next.forgotten_topics = topics
        self.look()

    def stop(self) -> None:
        """Begin nothing more; `run` ends when what is under way has ended, or could not be written down for a while."""
        if not self._is_stopping:
            limit_s = self._settings.stop_grace_s + self._settings.settle_s
            self._ending.deadline = anyio.current_time() + limit_s
        self._is_stopping = True
        self._lanes.end()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop` was called; cancelled, write down what was under way."""
        try:
            with self._ending:
                async with anyio.create_task_group() as group:
                    await self._loop(group)
                    group.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(self._settings.settle_s, shield=True) as limit:
                while self._next.reports or self._lanes.by_id:
                    await self._take_turn(is_last=True)
            if limit.cancelled_caught:  # whoever takes the lanes over asks the server
                _log.warning("chat.stop_not_written", report_count=len(self._next.reports))

    async def _loop(self, group: anyio.abc.TaskGroup) -> None:
        stop_ms: int | None = None
        while True:
            self._wake.clear()
            now_ms = self._clock.boot_ms()
            if self._is_stopping:
                stop_ms = stop_ms or now_ms + int(1000 * self._settings.stop_grace_s)
                if not self._lanes.running or now_ms >= stop_ms:
                    return
            await self._lanes.tend(now_ms)
            if self._needs_turn(now_ms):
                await self._take_turn()
            self._lanes.start_ready(group)
            self._contacting.knock(group, now_ms)
            if not self._needs_turn(self._clock.boot_ms()):
                await self._clock.wait(self._wake, self._wait_until(now_ms, stop_ms))

    # -- turns ----------------------------------------------------------------------------------------------------

    def _needs_turn(self, now_ms: int) -> bool:
        if self._next.is_urgent or self._lanes.ended:
            return True
        if self._is_stopping or not self._free_count(now_ms) or not self._topics():
            return False
        is_due = self._next_due_ms is not None and self._next_due_ms <= now_ms
        return self._may_be_due or is_due or now_ms >= self._next_look_ms

    def _free_count(self, now_ms: int) -> int:
        held_count = self._lanes.open_count
        if self._contacting.now.may_deliver():
            return max(0, self._settings.concurrency * AHEAD * self._pace.lanes - held_count)
        return 1 if held_count == 0 and self._contacting.may_knock_by_action(now_ms) else 0

    def _topics(self) -> Topics:
        return self._handlers.topics() + self._next.forgotten_topics

    async def _take_turn(self, *, is_last: bool = False) -> None:
        now_ms = self._clock.boot_ms()
        if is_last:
            self._lanes.end_all_now()
        taken = Collected(self._next, self._lanes.ended[:])
        claim = None if self._is_stopping or is_last else self._claim(now_ms)
        turn = self._next.turn(
            taken,
            now_ms=now_ms,
            at_ms=self._clock.wall_ms(),
            running=self._lanes.running,
            topics=self._topics(),
            claim=claim,
        )
        self._may_be_due = False
        if self._on_step is not None:
            self._on_step("turning")
        done = await self._written(turn)
        if self._on_step is not None:
            self._on_step("turned")
        self._next.was_written(taken)
        self._lanes.let_go(taken.ended)
        self._next_due_ms = done.next_due_ms
        self._next_look_ms = now_ms + int(1000 * self._settings.tick_s)
        if claim is not None:
            self._may_be_due = self._may_be_due or len(done.leases) >= claim.lane_count
            self._pace = after_turn(
                self._pace,
                most=self._most_times,
                was_idle=bool(taken.reports) and not self._lanes.open_count,
                is_behind=self._lanes.ready_count >= self._settings.concurrency,
                claimed_count=len(done.leases),
                asked_count=claim.lane_count,
            )
        for lease in done.leases:
            self._hold(lease, now_ms)
        self._heed(done.cancels_asked)
        self._tell(taken, done)

    def _claim(self, now_ms: int) -> ClaimRequest | None:
        topics, free_count = self._topics(), self._free_count(now_ms)
        if not free_count or not topics:
            return None
        lane_count, action_count = claim_size(self._pace, free_count, self._settings.claim_count)
        return ClaimRequest(
            lane_count=lane_count,
            action_count=action_count if self._contacting.now.may_deliver() else 1,
            topics=topics,
            until_ms=now_ms + int(1000 * self._settings.lease_s),
            ageing_ms=int(1000 * self._settings.ageing_s),
            careful_count=CAREFUL_COUNT,
        )

    def _heed(self, asked: Sequence[tuple[int, int]]) -> None:
        for action_id, lane_id in asked:
            lane = self._lanes.by_id.get(lane_id)
            if lane is not None and lane.withdraw(action_id) is False:
                self._next.refused_cancels.append(action_id)

    def _tell(self, taken: Collected, done: TurnDone) -> None:
        reports = taken.reports
        counted = [report for _, report in reports if report.action.id in done.accepted_ids]
        if len(counted) < len(reports):
            _log.warning("chat.reports_discarded", count=len(reports) - len(counted), reason="claim lapsed")
        if done.lapsed_count:
            _log.warning("chat.actions_taken_over", count=done.lapsed_count)
        if counted or done.leases or taken.refused_cancels:
            self._on_turn(counted)

    async def _written(self, turn: Turn) -> TurnDone:
        patience = Patience()
        while True:
            try:
                with anyio.CancelScope(shield=True):  # it may be written by now: its outcome has to be known
                    return await self._outbox.turn(turn)
            except MAY_PASS as error:
                if isinstance(error, WriteOutcomeUnknown):
                    turn = self._next.again(turn)
                await patience.wait("chat.turn_delayed", error)
            except ResultTooLarge:
                smaller = lighter(turn)
                if smaller is None:
                    raise
                turn, self._pace = smaller, SMALL

    def _hold(self, lease: Lease, claimed_ms: int) -> None:
        lane = LaneRun(
            lease,
            until_ms=claimed_ms + int(1000 * self._settings.lease_s),
            preparing=self._preparing,
            clock=self._clock,
            chance=self._chance,
            on_report=self._on_report,
            on_step=self._on_step,
        )
        lane.is_ending = self._is_stopping
        self._lanes.hold(lane)

    # -- what happens meanwhile -----------------------------------------------------------------------------------

    def _on_report(self, lane: LaneRun, report: Report) -> Report:
        """Keep a report for the next turn, and return it as it counts."""
        if report.verdict.lane == "waits for login" and lane.began_ms < self._logins_ms.get(
            lane.lease.account, 0
        ):
            report = replace(report, verdict=states.said_of_an_old_session(report.verdict))
        self._next.reports.append((lane, report))
        self._wake.set()
        if report.verdict.lane == "waits for login":
            self._next.expired_accounts[lane.lease.account] = None
            self._lanes.end(account=lane.lease.account)
        self._contacting.learn(report.verdict.entry)
        return report

    def _on_contact_changed(self, before: Contact, contact: Contact) -> None:
        if before.may_deliver() != contact.may_deliver():
            if not contact.may_deliver():
                self._lanes.end()
            self._on_contact(contact)
        if contact.is_online and not before.is_online:
            self.look()
        self._wake.set()

    def _wait_until(self, now_ms: int, stop_ms: int | None) -> int:
        contact = self._contacting.now
        times = [self._next_look_ms or now_ms + int(1000 * self._settings.tick_s)]
        if self._next_due_ms is not None and self._free_count(now_ms) and not self._is_stopping:
            times.append(self._next_due_ms)
        if not contact.is_online and not contact.is_held:
            times.append(contact.knock_ms)
        if self._lanes.running:
            times.append(now_ms + int(1000 * self._settings.tick_s))
        if stop_ms is not None:
            times.append(stop_ms)
        return max(min(times), now_ms + 1)

"""The loop that delivers: it claims lanes, runs their handlers, and writes what became of them, a turn at a time.

A turn is one transaction. It holds all that was reported since the last one and the claims for the slots that are
free, so reports collect while a turn is written, and nothing waits for company. A lane goes to the end of the line
after each claim, so a long one does not hold up the others. Handlers run only after the claim is on the disk; events
and receipts follow only after the report is.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio
import structlog

from chat.errors import DeliveryError
from chat.queue import connectivity
from chat.queue.connectivity import Contact
from chat.queue.lane_run import LaneRun, Report, RulesOf
from chat.queue.lanes import CAREFUL_COUNT, renewal_ms, rest_after
from chat.queue.records import ClaimRequest, Finished, Release, Settled, Turn, TurnDone
from chat.queue.states import State
from chat.queue.storage_troubles import MAY_PASS, Patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chat.queue.clock import QueueClock, Wake
    from chat.queue.handlers import Handlers
    from chat.queue.outbox import Outbox
    from chat.queue.packing import Packing
    from chat.queue.records import Claimed, Lease
    from chat.queue.settings import QueueSettings

AHEAD = 2
"""For each handler that may run, so many lanes are claimed: the next ones begin while a turn is written."""

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
        self._packing = packing
        self._handlers = handlers
        self._settings = settings
        self._clock = clock
        self._wake = wake
        self._owner = owner
        self._chance = chance
        self._on_turn = on_turn
        self._on_contact = on_contact
        self._probe = probe
        self._on_step = on_step
        self._is_probing = False
        self._is_asked = False
        self._contact = Contact()
        self._expired_accounts: dict[str, None] = {}
        self._refused_cancels: list[int] = []
        self._forgotten_topics: tuple[tuple[str, int], ...] = ()
        self._rules = RulesOf(settings)
        self._number = 0
        self._held: dict[int, LaneRun] = {}
        self._ready: deque[LaneRun] = deque()
        self._running: set[LaneRun] = set()
        self._reports: list[tuple[LaneRun, Report]] = []
        self._ended: list[LaneRun] = []
        self._may_be_due = True
        self._next_due_ms: int | None = None
        self._next_look_ms = 0
        self._renew_ms = 0
        self._is_stopping = False

    def look(self) -> None:
        """Look for work: something was stored, or may have become due."""
        self._may_be_due = True
        self._wake.set()

    def heed(self) -> None:
        """Look whether somebody wants actions back that are claimed here."""
        self._is_asked = True
        self.look()

    @property
    def contact(self) -> Contact:
        """Whether there is contact with the server."""
        return self._contact

    def go_offline(self) -> None:
        """Deliver nothing until `go_online`; what is under way goes on."""
        self._meet(connectivity.held(self._contact))

    def go_online(self) -> None:
        """Deliver all that is due, now."""
        self._meet(connectivity.let_go())
        self.look()

    def forget(self, topics: tuple[tuple[str, int], ...]) -> None:
        """Claim lanes of `topics` too, once: nobody has handlers for them, and their time is over."""
        self._forgotten_topics = topics
        self.look()

    def stop(self) -> None:
        """Begin nothing more; `run` ends when what is under way has ended."""
        self._is_stopping = True
        for lane in self._held.values():
            lane.is_ending = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop` was called; cancelled, write down what was under way."""
        try:
            async with anyio.create_task_group() as group:
                await self._loop(group)
                group.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(self._settings.settle_s, shield=True):
                while self._reports or self._held:
                    await self._take_turn(is_last=True)

    async def _loop(self, group: anyio.abc.TaskGroup) -> None:
        stop_ms: int | None = None
        while True:
            self._wake.clear()
            now_ms = self._clock.boot_ms()
            if self._is_stopping:
                stop_ms = stop_ms or now_ms + int(1000 * self._settings.stop_grace_s)
                if not self._running or now_ms >= stop_ms:
                    return
            await self._tend(now_ms)
            if self._needs_turn(now_ms):
                await self._take_turn()
            self._start_ready(group)
            self._knock(group, now_ms)
            if not self._needs_turn(self._clock.boot_ms()):
                await self._clock.wait(self._wake, self._wait_until(now_ms, stop_ms))

    # -- turns ----------------------------------------------------------------------------------------------------

    def _needs_turn(self, now_ms: int) -> bool:
        if self._reports or self._ended or self._refused_cancels or self._is_asked:
            return True
        if self._is_stopping or not self._free_count(now_ms) or not self._topics():
            return False
        is_due = self._next_due_ms is not None and self._next_due_ms <= now_ms
        return self._may_be_due or is_due or now_ms >= self._next_look_ms

    def _free_count(self, now_ms: int) -> int:
        held_count = len(self._held) - len(self._ended)
        if self._contact.may_deliver():
            return max(0, self._settings.concurrency * AHEAD - held_count)
        may_knock = self._contact.may_knock(now_ms) and self._probe is None
        return 1 if may_knock and held_count == 0 else 0

    def _topics(self) -> tuple[tuple[str, int], ...]:
        return self._handlers.topics() + self._forgotten_topics

    async def _take_turn(self, *, is_last: bool = False) -> TurnDone:
        now_ms = self._clock.boot_ms()
        self._number += 1
        if is_last:
            self._ended += [lane for lane in self._held.values() if lane not in self._ended]
        reports, ended = self._reports[:], self._ended[:]
        accounts, refused = list(self._expired_accounts), self._refused_cancels[:]
        turn = self._turn(now_ms, reports, ended, can_claim=not (self._is_stopping or is_last))
        self._may_be_due = self._is_asked = False
        if self._on_step is not None:
            self._on_step("turning")
        done = await self._written(turn)
        if self._on_step is not None:
            self._on_step("turned")
        del self._reports[: len(reports)], self._ended[: len(ended)], self._refused_cancels[: len(refused)]
        for account in accounts:
            self._expired_accounts.pop(account, None)
        self._forgotten_topics = ()
        for lane in ended:
            if self._held.get(lane.lease.lane_id) is lane:
                del self._held[lane.lease.lane_id]
        self._next_due_ms = done.next_due_ms
        self._next_look_ms = now_ms + int(1000 * self._settings.tick_s)
        if turn.claim is not None and len(done.leases) >= turn.claim.lane_count:
            self._may_be_due = True
        for lease in done.leases:
            self._hold(lease)
        self._heed(done.cancels_asked)
        self._tell(reports, done)
        return done

    def _heed(self, asked: Sequence[tuple[int, int]]) -> None:
        for action_id, lane_id in asked:
            lane = self._held.get(lane_id)
            if lane is not None and lane.withdraw(action_id) is False:
                self._refused_cancels.append(action_id)

    def _tell(self, reports: list[tuple[LaneRun, Report]], done: TurnDone) -> None:
        counted = [report for _, report in reports if report.action.id in done.accepted_ids]
        if len(counted) < len(reports):
            _log.warning("chat.reports_discarded", count=len(reports) - len(counted), reason="claim lapsed")
        if done.lapsed_count:
            _log.warning("chat.actions_taken_over", count=done.lapsed_count)
        if counted or done.leases:
            self._on_turn(counted)

    async def _written(self, turn: Turn) -> TurnDone:
        patience = Patience()
        while True:
            try:
                with anyio.CancelScope(shield=True):  # it may be written by now: its outcome has to be known
                    return await self._outbox.turn(turn)
            except MAY_PASS as error:
                await patience.wait("chat.turn_delayed", error)

    def _turn(
        self, now_ms: int, reports: list[tuple[LaneRun, Report]], ended: list[LaneRun], *, can_claim: bool
    ) -> Turn:
        finished: list[Finished] = []
        settled: list[Settled] = []
        for lane, report in reports:
            lease, action, entry = lane.lease, report.action, report.verdict.entry
            if entry.state is State.DONE:
                finished.append(Finished(action.id, lease.lane_id, lease.fence, report.result_json))
                continue
            wait_ms = int(1000 * report.verdict.wait_s)
            settled.append(
                Settled(
                    id=action.id,
                    lane_id=lease.lane_id,
                    fence=lease.fence,
                    state=entry.state,
                    in_lane=entry.in_lane,
                    due_ms=now_ms + wait_ms if wait_ms else None,
                    attempts=entry.attempts,
                    was_called=entry.was_called,
                    failure=entry.failure,
                    result=report.result_json,
                )
            )
        for lane in ended:
            head = lane.unbegun_head()
            if head is not None and not lane.is_lost:
                settled.append(_given_back(lane, head))
        topics = self._topics()
        claim = None
        free_count = self._free_count(now_ms)
        if can_claim and free_count and topics:
            claim = ClaimRequest(
                lane_count=free_count,
                action_count=self._settings.claim_count if self._contact.may_deliver() else 1,
                topics=topics,
                until_ms=now_ms + int(1000 * self._settings.lease_s),
                ageing_ms=int(1000 * self._settings.ageing_s),
                careful_count=CAREFUL_COUNT,
            )
        return Turn(
            now_ms=now_ms,
            at_ms=self._clock.wall_ms(),
            owner=self._owner,
            number=self._number,
            finished=finished,
            settled=settled,
            calls=self._unnoted_calls(),
            releases=[_release(lane, now_ms) for lane in ended],
            paused_accounts=list(self._expired_accounts),
            refused_cancels=self._refused_cancels[:],
            claim=claim,
            topics=topics,
        )

    def _unnoted_calls(self) -> list[tuple[int, int, int]]:
        calls = []
        for lane in self._running:
            if lane.current is not None and not lane.is_noted:
                lane.is_noted = True
                calls.append((lane.current.id, lane.lease.lane_id, lane.lease.fence))
        return calls

    # -- lanes ----------------------------------------------------------------------------------------------------

    def _hold(self, lease: Lease) -> None:
        lane = LaneRun(
            lease,
            packing=self._packing,
            handlers=self._handlers,
            rules=self._rules,
            chance=self._chance,
            on_report=self._on_report,
            handler_wait_ms=int(1000 * self._settings.handler_wait_s),
            on_step=self._on_step,
        )
        lane.is_ending = self._is_stopping
        self._held[lease.lane_id] = lane
        self._ready.append(lane)
        if not self._renew_ms:
            self._renew_ms = renewal_ms(self._clock.boot_ms(), int(1000 * self._settings.lease_s))

    def _start_ready(self, group: anyio.abc.TaskGroup) -> None:
        for lane in [each for each in self._ready if each.is_ending]:
            self._ready.remove(lane)
            self._ended.append(lane)
        while self._ready and len(self._running) < self._settings.concurrency:
            lane = self._ready.popleft()
            self._running.add(lane)
            group.start_soon(self._run_lane, lane, group)

    async def _run_lane(self, lane: LaneRun, group: anyio.abc.TaskGroup) -> None:
        try:
            await lane.run(self._clock.boot_ms, self._clock.wall_ms)
        finally:
            self._running.discard(lane)
            self._ended.append(lane)
            self._wake.set()
        self._start_ready(group)

    def _on_report(self, lane: LaneRun, report: Report) -> None:
        lane.last = report
        lane.reported.add(report.action.id)
        self._reports.append((lane, report))
        self._wake.set()
        if report.verdict.lane == "waits for login":
            self._expired_accounts[lane.lease.account] = None
            self._end_lanes(account=lane.lease.account)
        self._learn(report)

    # -- contact --------------------------------------------------------------------------------------------------

    def _learn(self, report: Report) -> None:
        """Learn from what became of an action whether there is contact."""
        failure = report.verdict.entry.failure
        if failure is not None and failure.kind == "unreachable":
            self._miss()
        elif not self._contact.is_online and (failure is None or failure.status is not None):
            self._meet(connectivity.found(self._contact))
            self.look()

    def _miss(self) -> None:
        settings = self._settings
        self._meet(
            connectivity.missed(
                self._contact,
                self._clock.boot_ms(),
                first_ms=int(1000 * settings.first_knock_s),
                most_ms=int(1000 * settings.max_knock_s),
                chance=self._chance(),
            )
        )

    def _meet(self, contact: Contact) -> None:
        before, self._contact = self._contact, contact
        if before.may_deliver() != contact.may_deliver():
            if not contact.may_deliver():
                self._end_lanes()
            self._on_contact(contact)
        self._wake.set()

    def _knock(self, group: anyio.abc.TaskGroup, now_ms: int) -> None:
        if self._probe is not None and not self._is_probing and self._contact.may_knock(now_ms):
            self._is_probing = True
            group.start_soon(self._ask, self._probe)

    async def _ask(self, probe: Callable[[], Awaitable[bool]]) -> None:
        """Ask the probe whether there is contact again."""
        is_there = False
        try:
            with anyio.move_on_after(self._settings.max_knock_s):
                is_there = await probe()
        except DeliveryError as error:
            _log.info("chat.probe_failed", error=str(error))
        finally:
            self._is_probing = False
        if is_there:
            self._meet(connectivity.found(self._contact))
            self.look()
        else:
            self._miss()

    def _end_lanes(self, *, account: str | None = None) -> None:
        """Begin nothing more in the lanes that are held, all of them or those of `account`."""
        for lane in self._held.values():
            if account is None or lane.lease.account == account:
                lane.is_ending = True

    async def _tend(self, now_ms: int) -> None:
        """Stop handlers that run for too long, and keep claims from lapsing."""
        limit_ms = int(1000 * self._settings.call_timeout_s)
        for lane in self._running:
            if lane.current is not None and now_ms - lane.began_ms >= limit_ms and not lane.is_overdue:
                lane.is_overdue = True
                lane.scope.cancel()
        if not self._held:
            self._renew_ms = 0
        elif now_ms >= self._renew_ms > 0:
            await self._renew(now_ms)

    async def _renew(self, now_ms: int) -> None:
        lease_ms = int(1000 * self._settings.lease_s)
        held = list(self._held.values())
        try:
            kept = await self._outbox.renew(
                [(lane.lease.lane_id, lane.lease.fence) for lane in held], now_ms + lease_ms
            )
        except MAY_PASS as error:
            _log.warning("chat.renewal_delayed", error=str(error))
            return
        self._renew_ms = renewal_ms(now_ms, lease_ms)
        for lane in held:
            if lane.lease.lane_id not in kept:
                lane.is_lost = lane.is_ending = True
                lane.scope.cancel()

    def _wait_until(self, now_ms: int, stop_ms: int | None) -> int:
        times = [self._next_look_ms or now_ms + int(1000 * self._settings.tick_s)]
        if self._next_due_ms is not None and self._free_count(now_ms) and not self._is_stopping:
            times.append(self._next_due_ms)
        if not self._contact.is_online and not self._contact.is_held:
            times.append(self._contact.knock_ms)
        if self._running:
            times.append(now_ms + int(1000 * self._settings.tick_s))
        if stop_ms is not None:
            times.append(stop_ms)
        return max(min(times), now_ms + 1)


def _release(lane: LaneRun, now_ms: int) -> Release:
    lease, last = lane.lease, lane.last
    rest = rest_after(None, 0, now_ms) if last is None else rest_after(last.verdict, last.action.id, now_ms)
    return Release(lease.lane_id, lease.fence, rest.due_ms, rest.blocked_by, rest.careful)


def _given_back(lane: LaneRun, action: Claimed) -> Settled:
    return Settled(
        id=action.id,
        lane_id=lane.lease.lane_id,
        fence=lane.lease.fence,
        state=State.QUEUED,
        in_lane=True,
        due_ms=None,
        attempts=action.attempts,
        was_called=action.was_called,
    )

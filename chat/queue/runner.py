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

from chat.queue.lane_run import LaneRun, Report, RulesOf
from chat.queue.outbox import ClaimRequest, Finished, Release, Settled, Turn, TurnDone
from chat.queue.states import State
from chat.queue.storage_troubles import MAY_PASS, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chat.queue.actions import ActionTypes
    from chat.queue.clock import QueueClock, Wake
    from chat.queue.handlers import Handlers
    from chat.queue.outbox import Lease, Outbox
    from chat.queue.settings import QueueSettings

AHEAD = 2
"""For each handler that may run, so many lanes are claimed: the next ones begin while a turn is written."""
CAREFUL_COUNT = 16
"""After a lapsed claim a lane's next claims cover one action each, so that the one that kills its process is found."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Runner:
    """Delivers the actions of one queue; `run` is its task."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        types: ActionTypes,
        handlers: Handlers,
        settings: QueueSettings,
        clock: QueueClock,
        wake: Wake,
        owner: str,
        chance: Callable[[], float],
        on_reports: Callable[[Sequence[Report]], None],
    ) -> None:
        self._outbox = outbox
        self._types = types
        self._handlers = handlers
        self._settings = settings
        self._clock = clock
        self._wake = wake
        self._owner = owner
        self._chance = chance
        self._on_reports = on_reports
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
            if not self._needs_turn(self._clock.boot_ms()):
                await self._clock.wait(self._wake, self._wait_until(now_ms, stop_ms))

    # -- turns ----------------------------------------------------------------------------------------------------

    def _needs_turn(self, now_ms: int) -> bool:
        if self._reports or self._ended:
            return True
        if self._is_stopping or not self._free_count() or not self._handlers.topics():
            return False
        is_due = self._next_due_ms is not None and self._next_due_ms <= now_ms
        return self._may_be_due or is_due or now_ms >= self._next_look_ms

    def _free_count(self) -> int:
        return max(0, self._settings.concurrency * AHEAD - len(self._held) + len(self._ended))

    async def _take_turn(self, *, is_last: bool = False) -> TurnDone:
        now_ms = self._clock.boot_ms()
        self._number += 1
        if is_last:
            self._ended += [lane for lane in self._held.values() if lane not in self._ended]
        reports, ended = self._reports[:], self._ended[:]
        turn = self._turn(now_ms, reports, ended, can_claim=not (self._is_stopping or is_last))
        self._may_be_due = False
        done = await self._written(turn)
        del self._reports[: len(reports)], self._ended[: len(ended)]
        for lane in ended:
            if self._held.get(lane.lease.lane_id) is lane:
                del self._held[lane.lease.lane_id]
        self._next_due_ms = done.next_due_ms
        self._next_look_ms = now_ms + int(1000 * self._settings.tick_s)
        if turn.claim is not None and len(done.leases) >= turn.claim.lane_count:
            self._may_be_due = True
        for lease in done.leases:
            self._hold(lease)
        self._tell(reports, done)
        return done

    def _tell(self, reports: list[tuple[LaneRun, Report]], done: TurnDone) -> None:
        counted = [report for _, report in reports if report.action.id in done.accepted_ids]
        if len(counted) < len(reports):
            _log.warning("chat.reports_discarded", count=len(reports) - len(counted), reason="claim lapsed")
        if done.lapsed_count:
            _log.warning("chat.actions_taken_over", count=done.lapsed_count)
        self._on_reports(counted)

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
        topics = self._handlers.topics()
        claim = None
        free_count = self._free_count()
        if can_claim and free_count and topics:
            claim = ClaimRequest(
                lane_count=free_count,
                action_count=self._settings.claim_count,
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
            types=self._types,
            handlers=self._handlers,
            rules=self._rules,
            chance=self._chance,
            on_report=self._on_report,
        )
        lane.is_ending = self._is_stopping
        self._held[lease.lane_id] = lane
        self._ready.append(lane)
        if not self._renew_ms:
            self._renew_ms = self._clock.boot_ms() + int(500 * self._settings.lease_s)

    def _start_ready(self, group: anyio.abc.TaskGroup) -> None:
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
        self._reports.append((lane, report))
        self._wake.set()

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
        self._renew_ms = now_ms + lease_ms // 2
        for lane in held:
            if lane.lease.lane_id not in kept:
                lane.is_lost = lane.is_ending = True
                lane.scope.cancel()

    def _wait_until(self, now_ms: int, stop_ms: int | None) -> int:
        times = [self._next_look_ms or now_ms + int(1000 * self._settings.tick_s)]
        if self._next_due_ms is not None and self._free_count() and not self._is_stopping:
            times.append(self._next_due_ms)
        if self._running:
            times.append(now_ms + int(1000 * self._settings.tick_s))
        if stop_ms is not None:
            times.append(stop_ms)
        return max(min(times), now_ms + 1)


def _release(lane: LaneRun, now_ms: int) -> Release:
    lease, last = lane.lease, lane.last
    if last is None:
        return Release(lease.lane_id, lease.fence, now_ms)
    verdict = last.verdict
    if verdict.lane == "is blocked":
        return Release(lease.lane_id, lease.fence, now_ms, blocked_by=last.action.id)
    if verdict.lane == "goes on":
        return Release(lease.lane_id, lease.fence, now_ms)
    return Release(lease.lane_id, lease.fence, now_ms + int(1000 * verdict.wait_s), careful_count=1)

"""Delivers the actions of one claimed lane, in their order, and reports what became of each.

One is under way at a time, or several where whoever delivers them keeps their order (`Route.joins`): the wait for one
answer is then the wait for all of them. They are reported in their order all the same.

Nothing is written here: reports are collected, and the loop writes them together with those of other lanes. The lane
ends when its claim is at its end, when the head has to wait, or when the loop says so; what was not begun by then has
not changed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from chat.errors import DeliveryError, Failure
from chat.queue import states
from chat.queue.preparing import Ready, entry_of
from chat.queue.reports import Report, json_of, storable
from chat.queue.states import Entry, Rules, State, Verdict
from chat.queue.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.queue.clock import QueueClock
    from chat.queue.handlers import Delivery, Route
    from chat.queue.preparing import Preparing
    from chat.queue.records import Claimed, Lease

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")

HANDLER_FAILED = "handler_failed"
TIMED_OUT = "timed_out"


class LaneRun:
    """One claim while it is worked off; `run` is its task."""

    def __init__(
        self,
        lease: Lease,
        *,
        until_ms: int,
        preparing: Preparing,
        clock: QueueClock,
        chance: Callable[[], float],
        on_report: Callable[[LaneRun, Report], Report],
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self.lease = lease
        self.scope = anyio.CancelScope()
        self.under_way: dict[int, Claimed] = {}
        """The actions whose handlers run, in their order."""
        self.unnoted: list[Claimed] = []
        """Those of them of which the disk does not know it: of all but the first, which the claim itself noted."""
        self.has_begun = False
        self.began_ms = 0
        """When what is under way began, in boot time."""
        self.until_ms = until_ms
        """When the claim lapses: nothing begins after that."""
        self.is_overdue = False
        """It ran for too long and was stopped."""
        self.is_lost = False
        """The claim lapsed: whatever is reported will not count."""
        self.is_ending = False
        """What has not begun is not to begin."""
        self.withdrawn: set[int] = set()
        """Actions that were taken back before they began."""
        self.reported: set[int] = set()
        self.last: Report | None = None
        """The report that ended the lane."""
        self._unsaid: dict[int, Report] = {}
        self._preparing = preparing
        self._clock = clock
        self._chance = chance
        self._on_report = on_report
        self._on_step = on_step

    async def run(self) -> None:
        """Deliver what the claim covers; cancelled, say what was under way."""
        try:
            with self.scope:
                left = deque(self.lease.actions)
                while left and self._goes_on():
                    now_ms = self._clock.boot_ms()
                    if self.is_ending or now_ms >= self.until_ms:
                        break
                    self.has_begun = True
                    self.began_ms = now_ms
                    await self._deliver_next(left)
        finally:
            self._say_all_of(self.under_way)
            self.end()

    def end(self) -> None:
        """Say what was taken back of what has not begun; nothing begins any more."""
        self.is_ending = True
        for action in self.lease.actions:
            is_left = action.id not in self.reported and action.state is not State.UNCERTAIN
            if is_left and self._is_withdrawn(action) and not self.is_lost:
                self.reported.add(action.id)
                self._on_report(self, Report(action, Verdict(entry=states.cancelled(entry_of(action)))))

    def _goes_on(self) -> bool:
        return self.last is None or self.last.verdict.lane == "goes on"

    async def _deliver_next(self, left: deque[Claimed]) -> None:
        first = self._ready(left.popleft())
        if isinstance(first, Report):
            self._say(first)
            return
        batch = [first]
        while left and first.route.joins is not None:
            following = self._ready(left[0])
            if isinstance(following, Report) or not following.joins(batch):
                break
            batch.append(following)
            left.popleft()
        for each in batch:
            self._begin(each.action)
        if len(batch) == 1:
            report = await self._tried(first)
            del self.under_way[first.action.id]
            self._say(report)
            return
        together = tuple(each.delivery.client_id for each in batch)
        async with anyio.create_task_group() as group:
            for each in batch:
                delivery = replace(each.delivery, together=together)
                group.start_soon(self._deliver_along, each._replace(delivery=delivery))

    async def _deliver_along(self, ready: Ready) -> None:
        """Deliver one of several, and say in their order what is known by then."""
        self._unsaid[ready.action.id] = await self._tried(ready)
        for action_id in tuple(self.under_way):
            report = self._unsaid.pop(action_id, None)
            if report is None:
                break
            del self.under_way[action_id]
            self._say(report)

    def _begin(self, action: Claimed) -> None:
        self.under_way[action.id] = action
        if action is not self.lease.actions[0]:
            self.unnoted.append(action)

    def _say_all_of(self, left: dict[int, Claimed]) -> None:
        """Say of what was under way when the lane was stopped what is known of it."""
        while left:
            action_id = next(iter(left))
            action = left.pop(action_id)
            report = self._unsaid.pop(action_id, None)
            if not self.is_lost:
                self._say(report or self._interrupted(action))

    def _say(self, report: Report) -> None:
        self.reported.add(report.action.id)
        if self.unnoted:
            self.unnoted = [each for each in self.unnoted if each.id != report.action.id]
        is_end = self._goes_on()
        said = self._on_report(self, report)
        if is_end:
            self.last = said

    def _ready(self, action: Claimed) -> Ready | Report:
        return self._preparing.ready(action, self.lease, is_withdrawn=self._is_withdrawn(action))

    async def _tried(self, ready: Ready) -> Report:
        action, entry, rules, route, delivery = ready
        try:
            if entry.state is State.UNCERTAIN:
                answer, verdict = await self._asked(entry, rules, route, delivery)
                verdict = verdict or self._preparing.pointless(
                    action, entry, is_withdrawn=self._is_withdrawn(action)
                )
                if verdict is not None:
                    return Report(action, verdict, answer, json_of(answer))
                entry = replace(entry, state=State.CALLING)
            if self._on_step is not None:
                self._on_step("calling")
            answer = await route.deliver(delivery)
            if self._on_step is not None:
                self._on_step("answered")
            return Report(action, states.succeeded(entry), answer, json_of(answer))
        except DeliveryError as error:
            failure = storable(Failure.of(error))
        except anyio.get_cancelled_exc_class() as error:
            await checkpoint()  # which raises again where it is this lane that was cancelled
            failure = _unforeseen(
                action, error
            )  # something that the handler waited for was, as a future may be
        except Exception as error:  # noqa: BLE001 - a handler may raise anything, and the queue goes on
            failure = _unforeseen(action, error)
        return Report(action, states.failed(entry, failure, rules, chance=self._chance()))

    async def _asked(
        self, entry: Entry, rules: Rules, route: Route, delivery: Delivery
    ) -> tuple[Any, Verdict | None]:
        """Return the answer to an uncertain action and what it means; None if the action may be called."""
        if rules.on_uncertain == "hold":
            failure = Failure("answer_lost", states.OUTCOME_UNKNOWN)
            return None, states.given_up(Entry(state=entry.state, was_called=True, failure=failure), rules)
        if rules.on_uncertain == "ask" and route.ask is not None:
            answer = await route.ask(delivery)
            if answer is not None:
                return answer, states.succeeded(entry)
        verdict = states.unknown_to_server(entry, rules)
        return None, verdict if verdict.entry.state is not State.CALLING else None

    def unbegun_head(self) -> Claimed | None:
        """Return the first action if it did not begin, though the disk says that it is called."""
        actions = self.lease.actions
        if not actions or self.has_begun or actions[0].id in self.reported:
            return None
        return actions[0] if actions[0].state is State.CALLING else None

    def withdraw(self, action_id: int) -> bool | None:
        """Have an action that has not begun taken back; return whether it could be, None if it is not here."""
        if action_id in self.under_way:
            return False
        if not any(action.id == action_id for action in self.lease.actions) or action_id in self.reported:
            return None
        self.withdrawn.add(action_id)
        return True

    def _is_withdrawn(self, action: Claimed) -> bool:
        return action.cancel_asked == 1 or action.id in self.withdrawn

    def _interrupted(self, action: Claimed) -> Report:
        entry = entry_of(action)
        if not self.is_overdue:
            stopped = states.stopped(entry, was_begun=True)
            return Report(action, Verdict(entry=stopped, lane="waits"))
        failure = Failure("answer_lost", TIMED_OUT)
        rules = self._preparing.rules_of(action)
        return Report(action, states.failed(entry, failure, rules, chance=self._chance()))


def _unforeseen(action: Claimed, error: BaseException) -> Failure:
    """Return what a handler raised that it should not have, and log where."""
    name = type(error).__name__
    _log.error(
        "chat.handler_failed",
        type=action.type,
        client_id=action.client_id,
        error=name,
        trace=trace_of(error),
    )
    return Failure("answer_lost", HANDLER_FAILED, name)

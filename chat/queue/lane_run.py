"""Delivers the actions of one claimed lane, one after the other, and reports what became of each.

Nothing is written here: reports are collected, and the loop writes them together with those of other lanes. The lane
ends when its claim is at its end, when the head has to wait, or when the loop says so; what was not begun by then has
not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import structlog
from msgspec.structs import replace

from chat.errors import NO_HANDLER, DeliveryError, Failure
from chat.queue import states
from chat.queue.handlers import Delivery
from chat.queue.packing import KEY_UNAVAILABLE, Unreadable, context_of
from chat.queue.reports import Report, json_of, storable
from chat.queue.states import Entry, Rules, State, Verdict
from chat.queue.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.queue.action_type import ActionType
    from chat.queue.clock import QueueClock
    from chat.queue.handlers import Handlers, Route
    from chat.queue.packing import Packing
    from chat.queue.records import Claimed, Lease
    from chat.queue.rules import RulesOf

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")

HANDLER_FAILED = "handler_failed"
OUTCOME_UNKNOWN = "outcome_unknown"
TIMED_OUT = "timed_out"
_LOOK_FOR_HANDLER_S = 5.0
_LOOK_FOR_KEY_S = 30.0


class LaneRun:
    """One claim while it is worked off; `run` is its task."""

    def __init__(
        self,
        lease: Lease,
        *,
        until_ms: int,
        packing: Packing,
        handlers: Handlers,
        rules: RulesOf,
        clock: QueueClock,
        chance: Callable[[], float],
        on_report: Callable[[LaneRun, Report], None],
        handler_wait_ms: int,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self.lease = lease
        self.scope = anyio.CancelScope()
        self.current: Claimed | None = None
        """The action whose handler runs."""
        self.has_begun = False
        self.began_ms = 0
        """When it began to run, in boot time."""
        self.until_ms = until_ms
        """When the claim lapses: nothing begins after that."""
        self.is_noted = True
        """The disk knows that it runs."""
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
        self._packing = packing
        self._handlers = handlers
        self._rules = rules
        self._clock = clock
        self._chance = chance
        self._on_report = on_report
        self._handler_wait_ms = handler_wait_ms
        self._on_step = on_step

    async def run(self) -> None:
        """Deliver what the claim covers; cancelled, say what was under way."""
        try:
            with self.scope:
                for action in self.lease.actions:
                    now_ms = self._clock.boot_ms()
                    if self.is_ending or now_ms >= self.until_ms:
                        break
                    self.has_begun = True
                    self.began_ms = now_ms
                    self.current = action
                    report = await self._delivered(action)
                    self.current = None
                    self.is_noted = False
                    self._say(report)
                    if report.verdict.lane != "goes on":
                        break
        finally:
            left, self.current = self.current, None
            if left is not None and not self.is_lost:
                self._say(self._interrupted(left))
            self.end()

    def end(self) -> None:
        """Say what was taken back of what has not begun; nothing begins any more."""
        self.is_ending = True
        for action in self.lease.actions:
            is_left = action.id not in self.reported and action.state is not State.UNCERTAIN
            if is_left and self._is_withdrawn(action) and not self.is_lost:
                self.reported.add(action.id)
                self._on_report(self, Report(action, Verdict(entry=states.cancelled(_entry_of(action)))))

    def _say(self, report: Report) -> None:
        self.last = report
        self.reported.add(report.action.id)
        self._on_report(self, report)

    async def _delivered(self, action: Claimed) -> Report:
        entry = _entry_of(action)
        verdict = None if entry.state is State.UNCERTAIN else self._pointless(action, entry)
        if verdict is not None:
            return Report(action, verdict)
        kind = self._packing.types.find(action.type)
        route = self._handlers.find(action.type)
        if kind is None or route is None:
            return self._without_handler(action, entry, kind)
        try:
            payload = self._packing.unpacked(
                kind,
                action.version,
                action.key_id,
                action.payload,
                b"" if action.key_id is None else context_of(action.client_id, action.type, self.lease.key),
            )
        except Unreadable as error:
            waits = error.code == KEY_UNAVAILABLE or kind.stuck == "block"
            failure = Failure("permanent", error.code, str(error))
            return self._held(action, entry, failure, "waits" if waits else "goes on")
        rules = self._rules.of(kind, action.max_attempts)
        delivery = Delivery(
            action.client_id,
            action.type,
            payload,
            self.lease.account,
            action.attempts + 1,
            action.created_at_ms,
        )
        return await self._tried(action, entry, rules, route, delivery)

    def _pointless(self, action: Claimed, entry: Entry) -> Verdict | None:
        """Return the end of an action that is certainly not at the server, if nobody wants it there any more."""
        if self._is_withdrawn(action):
            return Verdict(entry=states.cancelled(entry))
        if action.expires_at_ms is not None and action.expires_at_ms <= self._clock.wall_ms():
            return states.expired(entry)
        return None

    async def _tried(
        self,
        action: Claimed,
        entry: Entry,
        rules: Rules,
        route: Route,
        delivery: Delivery,
    ) -> Report:
        try:
            if entry.state is State.UNCERTAIN:
                answer, verdict = await self._asked(entry, rules, route, delivery)
                verdict = verdict or self._pointless(action, entry)
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
        except Exception as error:  # noqa: BLE001 - a handler may raise anything, and the queue goes on
            _log.error(
                "chat.handler_failed",
                type=action.type,
                client_id=action.client_id,
                error=type(error).__name__,
                trace=trace_of(error),
            )
            failure = Failure("answer_lost", HANDLER_FAILED, type(error).__name__)
        return Report(action, states.failed(entry, failure, rules, chance=self._chance()))

    async def _asked(
        self, entry: Entry, rules: Rules, route: Route, delivery: Delivery
    ) -> tuple[Any, Verdict | None]:
        """Return the answer to an uncertain action and what it means; None if the action may be called."""
        if rules.on_uncertain == "hold":
            failure = Failure("answer_lost", OUTCOME_UNKNOWN)
            return None, states.given_up(Entry(state=entry.state, was_called=True, failure=failure), rules)
        if rules.on_uncertain == "ask" and route.ask is not None:
            answer = await route.ask(delivery)
            if answer is not None:
                return answer, states.succeeded(entry)
        verdict = states.unknown_to_server(entry, rules)
        return None, verdict if verdict.entry.state is not State.CALLING else None

    def _without_handler(self, action: Claimed, entry: Entry, kind: ActionType | None) -> Report:
        failure = Failure("permanent", NO_HANDLER)
        if self._clock.wall_ms() - action.created_at_ms < self._handler_wait_ms:
            return self._held(action, entry, failure, "waits")
        failed = Entry(
            state=entry.state, attempts=entry.attempts, was_called=entry.was_called, failure=failure
        )
        if kind is None:
            return Report(action, Verdict(entry=replace(failed, state=State.FAILED, in_lane=False)))
        return Report(action, states.given_up(failed, self._rules.of(kind, action.max_attempts)))

    def unbegun_head(self) -> Claimed | None:
        """Return the first action if it did not begin, though the disk says that it is called."""
        actions = self.lease.actions
        if not actions or self.has_begun or actions[0].id in self.reported:
            return None
        return actions[0] if actions[0].state is State.CALLING else None

    def withdraw(self, action_id: int) -> bool | None:
        """Have an action that has not begun taken back; return whether it could be, None if it is not here."""
        if self.current is not None and self.current.id == action_id:
            return False
        if not any(action.id == action_id for action in self.lease.actions) or action_id in self.reported:
            return None
        self.withdrawn.add(action_id)
        return True

    def _is_withdrawn(self, action: Claimed) -> bool:
        return action.cancel_asked == 1 or action.id in self.withdrawn

    def _held(self, action: Claimed, entry: Entry, failure: Failure, lane: states.LaneNext) -> Report:
        state = State.UNCERTAIN if entry.state is State.UNCERTAIN else State.PAUSED
        in_lane = lane != "goes on"
        held = Entry(
            state=state,
            attempts=entry.attempts,
            was_called=entry.was_called,
            in_lane=in_lane,
            failure=failure,
        )
        wait_s = _LOOK_FOR_KEY_S if failure.code == KEY_UNAVAILABLE else _LOOK_FOR_HANDLER_S
        if in_lane:
            return Report(action, Verdict(entry=held, lane=lane, wait_s=wait_s))
        return Report(action, Verdict(entry=held, lane=lane, is_held=True))

    def _interrupted(self, action: Claimed) -> Report:
        entry = _entry_of(action)
        if not self.is_overdue:
            stopped = states.stopped(entry, was_begun=True)
            return Report(action, Verdict(entry=stopped, lane="waits"))
        kind = self._packing.types.named(action.type)
        rules = self._rules.of(kind, action.max_attempts)
        failure = Failure("answer_lost", TIMED_OUT)
        return Report(action, states.failed(entry, failure, rules, chance=self._chance()))


def _entry_of(action: Claimed) -> Entry:
    return Entry(state=action.state, attempts=action.attempts, was_called=action.was_called)

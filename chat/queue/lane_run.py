"""Delivers the actions of one claimed lane, one after the other, and reports what became of each.

Nothing is written here: reports are collected, and the loop writes them together with those of other lanes. The lane
ends when its claim is at its end, when the head has to wait, or when the loop says so; what was not begun by then has
not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import structlog
from msgspec.structs import replace

from chat.errors import NO_HANDLER, DeliveryError, Failure
from chat.queue import states
from chat.queue.handlers import Delivery
from chat.queue.packing import Unreadable, context_of
from chat.queue.records import Claimed
from chat.queue.states import Entry, Rules, State, Verdict
from chat.queue.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.queue.action_type import ActionType
    from chat.queue.handlers import Handlers, Route
    from chat.queue.packing import Packing
    from chat.queue.records import Lease
    from chat.queue.settings import QueueSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")

HANDLER_FAILED = "handler_failed"
OUTCOME_UNKNOWN = "outcome_unknown"
TIMED_OUT = "timed_out"
_LOOK_FOR_HANDLER_S = 5.0

_encode = msgspec.json.Encoder().encode


class Report(msgspec.Struct, frozen=True):
    """What became of one action."""

    action: Claimed
    verdict: Verdict
    result: Any = None
    """What the handler returned."""
    result_json: str | None = None


class RulesOf:
    """The rules of each type under the settings of one queue."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._known: dict[tuple[str, int | None], tuple[ActionType, Rules]] = {}

    def of(self, kind: ActionType, max_attempts: int | None) -> Rules:
        """Return the rules of `kind`, with what one action says for itself."""
        known = self._known.get((kind.name, max_attempts))
        if known is not None and known[0] is kind:
            return known[1]
        rules = Rules(
            retries=kind.retries(
                max_attempts=max_attempts,
                max_delay_s=self._settings.max_delay_s,
                max_retry_after_s=self._settings.max_retry_after_s,
            ),
            stuck=kind.stuck,
            blocks_on_conflict=kind.blocks_on_conflict,
            permanent=kind.permanent,
            on_target_gone=kind.on_target_gone,
            on_uncertain=kind.on_uncertain,
        )
        self._known[kind.name, max_attempts] = (kind, rules)
        return rules


class LaneRun:
    """One claim while it is worked off; `run` is its task."""

    def __init__(
        self,
        lease: Lease,
        *,
        packing: Packing,
        handlers: Handlers,
        rules: RulesOf,
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
        self._chance = chance
        self._on_report = on_report
        self._handler_wait_ms = handler_wait_ms
        self._on_step = on_step

    async def run(self, boot_ms: Callable[[], int], wall_ms: Callable[[], int]) -> None:
        """Deliver what the claim covers; cancelled, say what was under way."""
        try:
            with self.scope:
                for action in self.lease.actions:
                    if self.is_ending:
                        break
                    self.has_begun = True
                    self.began_ms = boot_ms()
                    self.current = action
                    report = await self._delivered(action, wall_ms)
                    self.current = None
                    self.is_noted = False
                    if report is None:
                        break
                    self._on_report(self, report)
                    if report.verdict.lane != "goes on":
                        break
        finally:
            left, self.current = self.current, None
            if left is not None and not self.is_lost:
                self._on_report(self, self._interrupted(left))

    async def _delivered(self, action: Claimed, wall_ms: Callable[[], int]) -> Report | None:
        entry = Entry(state=action.state, attempts=action.attempts, was_called=action.was_called)
        if self._is_withdrawn(action) and entry.state is not State.UNCERTAIN:
            return Report(action, Verdict(entry=states.cancelled(entry)))
        if action.expires_at_ms is not None and action.expires_at_ms <= wall_ms():
            return Report(action, states.expired(entry))
        kind = self._packing.types.find(action.type)
        route = self._handlers.find(action.type)
        if kind is None or route is None:
            return self._without_handler(action, entry, kind, wall_ms())
        try:
            payload = self._packing.unpacked(
                kind,
                action.version,
                action.key_id,
                action.payload,
                b"" if action.key_id is None else context_of(action.client_id, action.type, self.lease.key),
            )
        except Unreadable as error:
            return self._held(action, entry, Failure("permanent", error.code, str(error)), "goes on")
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

    async def _tried(
        self, action: Claimed, entry: Entry, rules: Rules, route: Route, delivery: Delivery
    ) -> Report:
        try:
            if entry.state is State.UNCERTAIN:
                answer, verdict = await self._asked(entry, rules, route, delivery)
                if verdict is not None:
                    return Report(action, verdict, answer, _json(answer))
                if self._is_withdrawn(action):
                    return Report(action, Verdict(entry=states.cancelled(entry)))
            if self._on_step is not None:
                self._on_step("calling")
            answer = await route.deliver(delivery)
            if self._on_step is not None:
                self._on_step("answered")
            return Report(action, states.succeeded(entry), answer, _json(answer))
        except DeliveryError as error:
            failure = Failure.of(error)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything, and the queue goes on
            _log.error(
                "chat.handler_failed",
                type=action.type,
                client_id=action.client_id,
                error=type(error).__name__,
                trace=trace_of(error),
            )
            failure = Failure("transient", HANDLER_FAILED, type(error).__name__)
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

    def _without_handler(self, action: Claimed, entry: Entry, kind: ActionType | None, at_ms: int) -> Report:
        failure = Failure("permanent", NO_HANDLER)
        if at_ms - action.created_at_ms < self._handler_wait_ms:
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
        return actions[0] if actions and not self.has_begun and actions[0].state is State.CALLING else None

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
        return Report(action, Verdict(entry=held, lane=lane, wait_s=_LOOK_FOR_HANDLER_S if in_lane else 0.0))

    def _interrupted(self, action: Claimed) -> Report:
        entry = Entry(state=action.state, attempts=action.attempts, was_called=action.was_called)
        if not self.is_overdue:
            stopped = states.stopped(entry, was_begun=True)
            return Report(action, Verdict(entry=stopped, lane="waits"))
        kind = self._packing.types.named(action.type)
        rules = self._rules.of(kind, action.max_attempts)
        failure = Failure("answer_lost", TIMED_OUT)
        return Report(action, states.failed(entry, failure, rules, chance=self._chance()))


def _json(answer: Any) -> str | None:
    if answer is None:
        return None
    try:
        return _encode(answer).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        _log.warning("chat.answer_dropped", reason="JSON can't carry it", type=type(answer).__name__)
        return None

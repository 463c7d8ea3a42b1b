"""What has to be there before an action is called: its handler, its payload, and that somebody still wants it.

An action that lacks something gets its report here, without a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog
from msgspec.structs import replace

from chat.errors import NO_HANDLER, Failure
from chat.queue import states
from chat.queue.handlers import Delivery
from chat.queue.packing import KEY_UNAVAILABLE, Unreadable, context_of
from chat.queue.reports import Report
from chat.queue.states import Entry, Rules, State, Verdict
from chat.queue.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.queue.action_type import ActionType
    from chat.queue.clock import QueueClock
    from chat.queue.handlers import Handlers, Route
    from chat.queue.packing import Packing
    from chat.queue.records import Claimed, Lease
    from chat.queue.rules import RulesOf

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")

_LOOK_FOR_HANDLER_S = 5.0
_LOOK_FOR_KEY_S = 30.0


class Ready(NamedTuple):
    """An action that can be called."""

    action: Claimed
    entry: Entry
    rules: Rules
    route: Route
    delivery: Delivery

    def joins(self, others: Sequence[Ready]) -> bool:
        """Tell whether it may be under way together with those before it; a question about a lost answer goes alone."""
        first = others[0]
        joins = self.route.joins
        if joins is None or self.action.type != first.action.type or self.rules.stuck == "block":
            return False
        if State.UNCERTAIN in {self.entry.state, first.entry.state}:
            return False
        try:
            return bool(joins(self.delivery.payload, [each.delivery.client_id for each in others]))
        except Exception as error:  # noqa: BLE001 - it is the program's, and may raise anything; alone is always right
            _log.error(
                "chat.joining_failed",
                type=self.action.type,
                error=type(error).__name__,
                trace=trace_of(error),
            )
            return False


class Preparing:
    """Makes actions ready to be called."""

    def __init__(
        self,
        *,
        packing: Packing,
        handlers: Handlers,
        rules: RulesOf,
        clock: QueueClock,
        handler_wait_ms: int,
    ) -> None:
        self.rules = rules
        self._packing = packing
        self._handlers = handlers
        self._clock = clock
        self._handler_wait_ms = handler_wait_ms

    def ready(self, action: Claimed, lease: Lease, *, is_withdrawn: bool) -> Ready | Report:
        """Return the action ready to be called, or what becomes of it without a call."""
        entry = entry_of(action)
        verdict = (
            None
            if entry.state is State.UNCERTAIN
            else self.pointless(action, entry, is_withdrawn=is_withdrawn)
        )
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
                b"" if action.key_id is None else context_of(action.client_id, action.type, lease.key),
            )
        except Unreadable as error:
            waits = error.code == KEY_UNAVAILABLE or kind.stuck == "block"
            failure = Failure("permanent", error.code, str(error))
            return _held(action, entry, failure, "waits" if waits else "goes on")
        delivery = Delivery(
            action.client_id, action.type, payload, lease.account, action.attempts + 1, action.created_at_ms
        )
        return Ready(action, entry, self.rules.of(kind, action.max_attempts), route, delivery)

    def pointless(self, action: Claimed, entry: Entry, *, is_withdrawn: bool) -> Verdict | None:
        """Return the end of an action that is certainly not at the server, if nobody wants it there any more."""
        if is_withdrawn:
            return Verdict(entry=states.cancelled(entry))
        if action.expires_at_ms is not None and action.expires_at_ms <= self._clock.wall_ms():
            return states.expired(entry)
        return None

    def rules_of(self, action: Claimed) -> Rules:
        """Return the rules of an action whose type is known."""
        return self.rules.of(self._packing.types.named(action.type), action.max_attempts)

    def _without_handler(self, action: Claimed, entry: Entry, kind: ActionType | None) -> Report:
        failure = Failure("permanent", NO_HANDLER)
        if self._clock.wall_ms() - action.created_at_ms < self._handler_wait_ms:
            return _held(action, entry, failure, "waits")
        failed = Entry(
            state=entry.state, attempts=entry.attempts, was_called=entry.was_called, failure=failure
        )
        if kind is None:
            return Report(action, Verdict(entry=replace(failed, state=State.FAILED, in_lane=False)))
        return Report(action, states.given_up(failed, self.rules.of(kind, action.max_attempts)))


def entry_of(action: Claimed) -> Entry:
    """Return an action as far as the rules care."""
    return Entry(state=action.state, attempts=action.attempts, was_called=action.was_called)


def _held(action: Claimed, entry: Entry, failure: Failure, lane: states.LaneNext) -> Report:
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

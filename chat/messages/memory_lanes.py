"""Messages of one process as they wait: lanes of actions in order, what may be done to each by hand, and what is told.

`statements/control.sql` and the triggers of the first migration say the same of a file that several processes share.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from chat.errors import ActionNotFound, NotPossible
from chat.queue import states
from chat.queue.states import WAITING, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chat.errors import Failure
    from chat.messages.memory_log import MemoryLog
    from chat.queue.clock import QueueClock
    from chat.queue.records import NewAction

MAX_FINISHED_COUNT = 1_000
"""So many of those that ended can be tried again, or are known when they come again."""
_RETRIED = frozenset(
    {State.FAILED, State.EXPIRED, State.RETRY_WAIT, State.PAUSED, State.QUEUED, State.UNCERTAIN}
)


@dataclass(slots=True, eq=False)
class Action:
    """An action as it stands."""

    id: int
    """Its place."""
    new: NewAction
    lane: Lane
    state: State = State.QUEUED
    in_lane: bool = True
    due_ms: int | None = None
    attempts: int = 0
    was_called: bool = False
    cancel_asked: bool = False
    is_too_late: bool = False
    """It was asked for, and can't be taken back."""
    failure: Failure | None = None
    result: str | None = None
    is_finished: bool = False


@dataclass(slots=True, eq=False)
class Lane:
    """Actions that wait for each other."""

    id: int
    key: str
    topic: str
    account: str
    priority: int
    due_ms: int | None = None
    """None while it is claimed, so it can't be claimed twice."""
    fence: int = 0
    is_claimed: bool = False
    claimed_ids: frozenset[int] = frozenset()
    """What the claim covers; what comes back into the lane meanwhile, it does not."""
    blocked_by: int | None = None
    actions: dict[int, Action] = field(default_factory=dict)
    """Those that have not ended, by id."""

    def in_order(self) -> Iterator[Action]:
        """Yield those that have their place in the lane."""
        return (self.actions[id_] for id_ in sorted(self.actions) if self.actions[id_].in_lane)

    @property
    def is_empty(self) -> bool:
        """Nothing has its place in it."""
        return not any(True for _ in self.in_order())


class MemoryLanes:
    """All lanes of a process, and the actions in them."""

    def __init__(self, log: MemoryLog, clock: QueueClock) -> None:
        self.log = log
        self.by_id: dict[int, Lane] = {}
        self.actions: dict[int, Action] = {}
        """Those that ended last too."""
        self.paused_accounts: set[str] = set()
        self.unfinished_count = 0
        self._clock = clock
        self._ids: dict[str, int] = {}
        self._by_client_id: dict[str, Action] = {}
        self._finished: deque[int] = deque()
        self._last_id = 0

    # -- by hand --------------------------------------------------------------------------------------------------

    def digest(self, client_id: str) -> bytes | None:
        """Return the digest of an action that is remembered under `client_id`."""
        found = self._by_client_id.get(client_id)
        return None if found is None else found.new.digest

    def take(self, new: NewAction) -> None:
        """Let a new action wait at the end of its lane."""
        lane = self._lane(new)
        action = Action(self._next_id(), new, lane, due_ms=new.due_ms)
        self.actions[action.id] = self._by_client_id[new.client_id] = lane.actions[action.id] = action
        self.unfinished_count += 1
        self.enter(action)
        self._tell(action, None)

    def find(self, client_id: str) -> Action:
        """Return an action.

        Raises:
            ActionNotFound: There is none, or it ended long ago.
        """
        found = self._by_client_id.get(client_id)
        if found is None:
            raise ActionNotFound(f"there is no action {client_id}")
        return found

    def count(self, states: Iterable[State]) -> int:
        """Return how many actions that have not ended are in one of `states`."""
        wanted = frozenset(states)
        return sum(action.state in wanted for lane in self.by_id.values() for action in lane.actions.values())

    def cancel(self, client_id: str) -> bool | None:
        """Take an action back; False: it is too late, None: whoever delivers it is asked, and answers.

        Raises:
            ActionNotFound: There is none.
        """
        action = self.find(client_id)
        if states.may_be_done(_entry(action)):
            return False
        if action.state in WAITING | {State.FAILED} and not _is_claimed(action):
            self.move(action, State.CANCELLED, in_lane=False, is_finished=True)
            self._unblock(action)
        if action.state is State.CANCELLED:
            return True
        if action.is_finished or action.is_too_late:
            return False
        action.cancel_asked = True
        return None

    def retry(self, client_id: str) -> None:
        """Let an action begin again from the beginning, now, at its old place.

        Raises:
            ActionNotFound: There is none.
            NotPossible: It is done, was taken back, or is being delivered.
        """
        action, now_ms = self.find(client_id), self._clock.boot_ms()
        if action.state not in _RETRIED or _is_claimed(action):
            raise NotPossible(f"{client_id} is {action.state}", state=action.state)
        state = states.retried(_entry(action)).state
        action.attempts, action.failure, action.due_ms = 0, None, now_ms
        action.cancel_asked = action.is_too_late = False
        self.move(action, state, in_lane=True, is_finished=False)
        self._unblock(action)
        if not action.lane.is_claimed and action.lane.blocked_by is None:
            action.lane.due_ms = now_ms

    # -- what becomes of them -------------------------------------------------------------------------------------

    def enter(self, action: Action) -> None:
        """Let its lane be due when the action is, unless that is due already or can't be."""
        lane = action.lane
        if lane.due_ms is None and lane.blocked_by is None and not lane.is_claimed:
            lane.due_ms = action.due_ms or 0

    def move(self, action: Action, state: State, *, in_lane: bool, is_finished: bool) -> None:
        """Let an action come into `state`, and tell it."""
        was, was_finished = action.state, action.is_finished
        action.state, action.in_lane, action.is_finished = state, in_lane, is_finished
        if state in {State.DONE, State.CANCELLED}:
            action.new = replace(action.new, payload=b"")
        if is_finished and not was_finished:
            action.lane.actions.pop(action.id, None)
            self.unfinished_count -= 1
            self._finished.append(action.id)
            self.forget_if_empty(action.lane)
            self._forget_oldest()
        elif was_finished and not is_finished:
            lane = action.lane = self._lane(action.new)
            lane.actions[action.id] = action
            self.unfinished_count += 1
            self._finished.remove(action.id)
        if state is not was:
            self._tell(action, was)

    def forget_if_empty(self, lane: Lane) -> None:
        """Forget a lane of which nothing is left."""
        if not lane.actions and not lane.is_claimed:
            self.by_id.pop(lane.id, None)
            self._ids.pop(lane.key, None)

    def _tell(self, action: Action, was: State | None) -> None:
        new = action.new
        self.log.add(
            action.state,
            was=was,
            client_id=new.client_id,
            type=new.type,
            lane=new.lane_key,
            account=new.account,
            attempts=action.attempts,
            due_ms=action.due_ms,
            failure=action.failure,
            result=None if action.result is None else msgspec.json.decode(action.result),
        )

    def _unblock(self, action: Action) -> None:
        lane = action.lane
        if lane.blocked_by == action.id and not lane.is_claimed:
            lane.blocked_by = None
            lane.due_ms = None if lane.is_empty else self._clock.boot_ms()
            self.forget_if_empty(lane)

    def _lane(self, new: NewAction) -> Lane:
        id_ = self._ids.get(new.lane_key)
        if id_ is None:
            id_ = self._ids[new.lane_key] = self._next_id()
            self.by_id[id_] = Lane(id_, new.lane_key, new.topic, new.account, new.priority)
        return self.by_id[id_]

    def _forget_oldest(self) -> None:
        while len(self._finished) > MAX_FINISHED_COUNT:
            action = self.actions.pop(self._finished.popleft())
            del self._by_client_id[action.new.client_id]

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _entry(action: Action) -> states.Entry:
    return states.Entry(state=action.state, failure=action.failure)


def _is_claimed(action: Action) -> bool:
    return action.in_lane and action.id in action.lane.claimed_ids

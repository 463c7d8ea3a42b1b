"""The action queue's tables in this process: what `Outbox` does with a file, for one runner and without a disk.

`statements/turns.sql` and the triggers of the first migration say the same for many processes; the suite that all
message stores pass holds the two together. What one process needs no rule for is not here: leases that lapse, fences of
others, coalescing, dependencies. A lane that is claimed is due never, so it can't be claimed twice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from anyio.lowlevel import checkpoint
from msgspec.structs import replace
from typing_extensions import override

from chat.errors import ActionNotFound, NotPossible
from chat.queue.outbox import Outbox
from chat.queue.records import Claimed, EndFound, Lease, TurnDone
from chat.queue.states import WAITING, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chat.errors import Failure
    from chat.messages.memory_log import MemoryLog
    from chat.queue.clock import QueueClock
    from chat.queue.records import ClaimRequest, NewAction, Release, Turn

MAX_FINISHED_COUNT = 1_000
"""So many of those that ended can be tried again, or are known when they come again."""
_RETRIED = frozenset(
    {State.FAILED, State.EXPIRED, State.RETRY_WAIT, State.PAUSED, State.QUEUED, State.UNCERTAIN}
)
_OPEN = WAITING | {State.CALLING, State.UNCERTAIN}


@dataclass(slots=True)
class _Action:
    id: int
    new: NewAction
    lane: _Lane
    state: State = State.QUEUED
    in_lane: bool = True
    due_ms: int | None = None
    attempts: int = 0
    was_called: bool = False
    cancel_asked: bool = False
    is_too_late: bool = False
    failure: Failure | None = None
    result: str | None = None
    is_finished: bool = False


@dataclass(slots=True)
class _Lane:
    id: int
    key: str
    topic: str
    account: str
    priority: int
    due_ms: int | None = None
    fence: int = 0
    is_claimed: bool = False
    claimed_ids: frozenset[int] = frozenset()
    """What the claim covers; what comes back into the lane meanwhile, it does not."""
    blocked_by: int | None = None
    actions: dict[int, _Action] = field(default_factory=dict)
    """Those that have not ended, by id."""

    def in_order(self) -> Iterator[_Action]:
        """Yield those that have their place in the lane."""
        return (self.actions[id_] for id_ in sorted(self.actions) if self.actions[id_].in_lane)


class MemoryOutbox(Outbox):
    """Where the messages of one process wait; its calls take effect at once."""

    def __init__(self, log: MemoryLog, clock: QueueClock) -> None:  # the tables of `Outbox` are not there
        self.unfinished_count = 0
        """How many have not ended."""
        self._log = log
        self._clock = clock
        self._lanes: dict[int, _Lane] = {}
        self._lane_ids: dict[str, int] = {}
        self._actions: dict[int, _Action] = {}
        self._by_client_id: dict[str, _Action] = {}
        self._finished: deque[int] = deque()
        self._paused_accounts: set[str] = set()
        self._last_id = 0

    # -- by hand --------------------------------------------------------------------------------------------------

    def digest(self, client_id: str) -> bytes | None:
        """Return the digest of an action that is remembered under `client_id`."""
        found = self._by_client_id.get(client_id)
        return None if found is None else found.new.digest

    def take(self, new: NewAction) -> None:
        """Let a new action wait at the end of its lane."""
        lane = self._lane(new)
        action = _Action(self._next_id(), new, lane, due_ms=new.due_ms)
        self._actions[action.id] = self._by_client_id[new.client_id] = lane.actions[action.id] = action
        self.unfinished_count += 1
        self._enter(action, new.packed_ms)
        self._tell(action, None)

    def find(self, client_id: str) -> tuple[State, str]:
        """Return how an action stands, and the key of its lane.

        Raises:
            ActionNotFound: There is none, or it ended long ago.
        """
        found = self._found(client_id)
        return found.state, found.new.lane_key

    def count(self, *states: State) -> int:
        """Return how many actions that have not ended are in one of `states`."""
        return sum(
            action.state in states for lane in self._lanes.values() for action in lane.actions.values()
        )

    def cancel(self, client_id: str) -> bool | None:
        """Take an action back; None: whoever delivers it was asked, False: it is too late.

        Raises:
            ActionNotFound: There is none.
        """
        action = self._found(client_id)
        if action.state in WAITING | {State.FAILED} and not self._is_claimed(action):
            self._move(action, State.CANCELLED, in_lane=False, is_finished=True)
            self._unblock(action)
            return True
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
        action, now_ms = self._found(client_id), self._clock.boot_ms()
        if action.state not in _RETRIED or self._is_claimed(action):
            raise NotPossible(f"{client_id} is {action.state}", state=action.state)
        action.attempts, action.failure, action.due_ms = 0, None, now_ms
        action.cancel_asked = action.is_too_late = False
        state = State.UNCERTAIN if action.state is State.UNCERTAIN else State.QUEUED
        self._move(action, state, in_lane=True, is_finished=False)
        self._unblock(action)
        if not action.lane.is_claimed and action.lane.blocked_by is None:
            action.lane.due_ms = now_ms

    def resume(self, account: str) -> None:
        """Let the lanes of `account` go on that waited for a login."""
        self._paused_accounts.discard(account)

    # -- turns ----------------------------------------------------------------------------------------------------

    @override
    async def turn(self, turn: Turn) -> TurnDone:
        """See `Outbox`."""
        await checkpoint()
        self._enter_due(turn.now_ms)
        accepted = set()
        for done in turn.finished:
            action = self._actions[done.id]
            action.result, action.failure = done.result, None
            action.lane.claimed_ids -= {done.id}
            self._move(action, State.DONE, in_lane=False, is_finished=True)
            accepted.add(done.id)
        for each in turn.settled:
            action = self._actions[each.id]
            action.due_ms, action.attempts, action.was_called = each.due_ms, each.attempts, each.was_called
            action.failure, action.result = each.failure, each.result
            action.lane.claimed_ids -= {each.id}
            is_finished = each.state not in _OPEN and not each.in_lane
            self._move(action, each.state, in_lane=each.in_lane, is_finished=is_finished)
            accepted.add(each.id)
        for release in turn.releases:
            self._release(release)
        for account in turn.paused_accounts:
            if account not in self._paused_accounts:
                self._paused_accounts.add(account)
                self._log.add("session.expired", account=account)
        for id_, _, _ in turn.calls:
            self._note_call(self._actions[id_])
        for id_ in turn.refused_cancels:
            self._actions[id_].is_too_late = True
            self._log.stir()
        leases = [] if turn.claim is None else self._claimed(turn.claim, turn.now_ms)
        asked = [
            (action.id, lane.id)
            for lane in self._lanes.values()
            if lane.is_claimed
            for action in lane.actions.values()
            if action.cancel_asked and not action.is_too_late
        ]
        return TurnDone(
            accepted_ids=frozenset(accepted),
            leases=leases,
            next_due_ms=self._next_due_ms(turn.topics),
            cancels_asked=asked,
        )

    @override
    async def renew(self, leases: Sequence[tuple[int, int]], until_ms: int) -> frozenset[int]:
        """See `Outbox`; here no claim lapses."""
        await checkpoint()
        return frozenset(lane_id for lane_id, _ in leases)

    @override
    async def ends(self, client_ids: Sequence[str]) -> list[EndFound]:
        """See `Outbox`."""
        await checkpoint()
        found = [self._by_client_id[each] for each in client_ids if each in self._by_client_id]
        return [
            EndFound(action.new.client_id, action.state, action.result, action.failure, None)
            for action in found
            if action.state.is_final
        ]

    def _claimed(self, claim: ClaimRequest, now_ms: int) -> list[Lease]:
        wanted = set(claim.topics)
        due = [
            lane
            for lane in self._lanes.values()
            if self._is_free(lane, wanted) and lane.due_ms is not None and lane.due_ms <= now_ms
        ]
        due.sort(key=lambda lane: (lane.due_ms or 0) + lane.priority * claim.ageing_ms)
        return [self._lease(lane, claim.action_count) for lane in due[: claim.lane_count]]

    def _lease(self, lane: _Lane, most: int) -> Lease:
        covered = [action for action, _ in zip(lane.in_order(), range(most), strict=False)]
        lane.fence, lane.is_claimed, lane.due_ms = lane.fence + 1, True, None
        lane.claimed_ids = frozenset(action.id for action in covered)
        if covered and not covered[0].cancel_asked:
            self._note_call(covered[0])
        lease = Lease(lane.id, lane.key, lane.account, lane.fence, has_lapsed=False)
        lease.actions.extend(_as_claimed(action) for action in covered)
        return lease

    def _release(self, release: Release) -> None:
        lane = self._lanes[release.lane_id]
        lane.is_claimed, lane.blocked_by, lane.claimed_ids = False, release.blocked_by, frozenset()
        has_more = any(True for _ in lane.in_order())
        lane.due_ms = release.due_ms if has_more and lane.blocked_by is None else None
        self._forget_if_empty(lane)

    def _enter_due(self, now_ms: int) -> None:
        for lane in self._lanes.values():
            for action in lane.actions.values():
                if not action.in_lane and action.due_ms is not None and action.due_ms <= now_ms:
                    action.in_lane = True
                    self._enter(action, action.due_ms)

    def _next_due_ms(self, topics: Iterable[tuple[str, int]]) -> int | None:
        wanted = set(topics)
        lanes = (lane.due_ms for lane in self._lanes.values() if self._is_free(lane, wanted))
        outside = (
            action.due_ms
            for lane in self._lanes.values()
            for action in lane.actions.values()
            if not action.in_lane
        )
        return min((due_ms for due_ms in (*lanes, *outside) if due_ms is not None), default=None)

    # -- the rest -------------------------------------------------------------------------------------------------

    def _is_free(self, lane: _Lane, wanted: set[tuple[str, int]]) -> bool:
        """Return whether its actions may be delivered when they are due."""
        is_wanted = (lane.topic, lane.priority) in wanted
        return is_wanted and not lane.is_claimed and lane.account not in self._paused_accounts

    def _is_claimed(self, action: _Action) -> bool:
        return action.in_lane and action.id in action.lane.claimed_ids

    def _note_call(self, action: _Action) -> None:
        if action.state in WAITING:
            action.due_ms = None
            self._move(action, State.CALLING, in_lane=True, is_finished=False)

    def _enter(self, action: _Action, due_ms: int | None) -> None:
        lane = action.lane
        if lane.due_ms is None and lane.blocked_by is None and not lane.is_claimed:
            lane.due_ms = due_ms or 0

    def _move(self, action: _Action, state: State, *, in_lane: bool, is_finished: bool) -> None:
        was, was_finished = action.state, action.is_finished
        action.state, action.in_lane, action.is_finished = state, in_lane, is_finished
        if state in {State.DONE, State.CANCELLED}:
            action.new = replace(action.new, payload=b"")
        if is_finished and not was_finished:
            action.lane.actions.pop(action.id, None)
            self.unfinished_count -= 1
            self._finished.append(action.id)
            self._forget_if_empty(action.lane)
            self._forget_oldest()
        elif was_finished and not is_finished:
            lane = action.lane = self._lane(action.new)
            lane.actions[action.id] = action
            self.unfinished_count += 1
            self._finished.remove(action.id)
        if state is not was:
            self._tell(action, was)

    def _tell(self, action: _Action, was: State | None) -> None:
        new = action.new
        self._log.add(
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

    def _unblock(self, action: _Action) -> None:
        lane = action.lane
        if lane.blocked_by == action.id and not lane.is_claimed:
            lane.blocked_by = None
            lane.due_ms = self._clock.boot_ms() if any(True for _ in lane.in_order()) else None
            self._forget_if_empty(lane)

    def _lane(self, new: NewAction) -> _Lane:
        id_ = self._lane_ids.get(new.lane_key)
        if id_ is None:
            id_ = self._lane_ids[new.lane_key] = self._next_id()
            self._lanes[id_] = _Lane(id_, new.lane_key, new.topic, new.account, new.priority)
        return self._lanes[id_]

    def _forget_if_empty(self, lane: _Lane) -> None:
        if not lane.actions and not lane.is_claimed:
            self._lanes.pop(lane.id, None)
            self._lane_ids.pop(lane.key, None)

    def _forget_oldest(self) -> None:
        while len(self._finished) > MAX_FINISHED_COUNT:
            action = self._actions.pop(self._finished.popleft())
            del self._by_client_id[action.new.client_id]

    def _found(self, client_id: str) -> _Action:
        found = self._by_client_id.get(client_id)
        if found is None:
            raise ActionNotFound(f"there is no action {client_id}")
        return found

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _as_claimed(action: _Action) -> Claimed:
    new: Any = action.new
    return Claimed(
        id=action.id,
        lane_id=action.lane.id,
        client_id=new.client_id,
        type=new.type,
        version=new.version,
        state=action.state,
        attempts=action.attempts,
        was_called=action.was_called,
        max_attempts=new.max_attempts,
        created_at_ms=new.created_at_ms,
        expires_at_ms=new.expires_at_ms,
        cancel_asked=int(action.cancel_asked),
        key_id=None,
        payload=new.payload,
    )

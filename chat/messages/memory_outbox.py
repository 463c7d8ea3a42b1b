"""The runner's turns on lanes in this process: what `Outbox` does with a file, without a disk.

`statements/turns.sql` says the same for many processes, and the suite that all message stores pass holds the two
together. What one process needs no rule for is not here: leases that lapse, fences of others, dependencies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from typing_extensions import override

from chat.queue.outbox import Outbox
from chat.queue.records import Claimed, Lease, TurnDone
from chat.queue.states import FINAL, WAITING, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chat.messages.memory_lanes import Action, Lane, MemoryLanes
    from chat.queue.records import ClaimRequest, Finished, Release, Settled, Turn


class MemoryOutbox(Outbox):
    """Takes the turns of a runner; nothing but that of `Outbox` can be called here."""

    def __init__(self, lanes: MemoryLanes) -> None:  # there are no tables
        self._lanes = lanes

    @override
    async def turn(self, turn: Turn) -> TurnDone:
        """See `Outbox`."""
        await checkpoint()
        lanes = self._lanes
        self._enter_due(turn.now_ms)
        accepted = [self._finish(done) for done in turn.finished]
        accepted += [self._settle(each) for each in turn.settled]
        for release in turn.releases:
            self._release(release)
        for account in turn.paused_accounts:
            if account not in lanes.paused_accounts:
                lanes.paused_accounts.add(account)
                lanes.log.add("session.expired", account=account)
        for id_, _, _ in turn.calls:
            self._note_call(lanes.actions[id_])
        for id_ in turn.refused_cancels:
            lanes.actions[id_].is_too_late = True
            lanes.log.stir()
        return TurnDone(
            accepted_ids=frozenset(accepted),
            leases=[] if turn.claim is None else self._claimed(turn.claim, turn.now_ms),
            next_due_ms=self._next_due_ms(turn.topics),
            cancels_asked=self._cancels_asked(),
        )

    @override
    async def renew(self, leases: Sequence[tuple[int, int]], until_ms: int) -> frozenset[int]:
        """See `Outbox`; here no claim lapses."""
        await checkpoint()
        return frozenset(lane_id for lane_id, _ in leases)

    def _finish(self, done: Finished) -> int:
        action = self._lanes.actions[done.id]
        action.lane.claimed_ids -= {done.id}
        action.result, action.failure = done.result, None
        self._lanes.move(action, State.DONE, in_lane=False, is_finished=True)
        return done.id

    def _settle(self, each: Settled) -> int:
        action = self._lanes.actions[each.id]
        action.lane.claimed_ids -= {each.id}
        action.due_ms, action.attempts, action.was_called = each.due_ms, each.attempts, each.was_called
        action.failure, action.result = each.failure, each.result
        is_finished = each.state in FINAL and not each.in_lane
        self._lanes.move(action, each.state, in_lane=each.in_lane, is_finished=is_finished)
        return each.id

    def _release(self, release: Release) -> None:
        lane = self._lanes.by_id[release.lane_id]
        lane.is_claimed, lane.blocked_by, lane.claimed_ids = False, release.blocked_by, frozenset()
        lane.due_ms = None if lane.is_empty or lane.blocked_by is not None else release.due_ms
        self._lanes.forget_if_empty(lane)

    def _enter_due(self, now_ms: int) -> None:
        for action in self._outside():
            if action.due_ms is not None and action.due_ms <= now_ms:
                action.in_lane = True
                self._lanes.enter(action)

    def _note_call(self, action: Action) -> None:
        if action.state in WAITING:
            action.due_ms = None
            self._lanes.move(action, State.CALLING, in_lane=True, is_finished=False)

    def _claimed(self, claim: ClaimRequest, now_ms: int) -> list[Lease]:
        due = [(lane.due_ms, lane) for lane in self._free(claim.topics)]
        ranked = sorted(
            (due_ms + lane.priority * claim.ageing_ms, lane.id, lane)
            for due_ms, lane in due
            if due_ms is not None and due_ms <= now_ms
        )
        return [self._lease(lane, claim.action_count) for _, _, lane in ranked[: claim.lane_count]]

    def _lease(self, lane: Lane, most: int) -> Lease:
        covered = [action for action, _ in zip(lane.in_order(), range(most), strict=False)]
        lane.fence, lane.is_claimed, lane.due_ms = lane.fence + 1, True, None
        lane.claimed_ids = frozenset(action.id for action in covered)
        if covered and not covered[0].cancel_asked:
            self._note_call(covered[0])
        lease = Lease(lane.id, lane.key, lane.account, lane.fence, has_lapsed=False)
        lease.actions.extend(_as_claimed(action) for action in covered)
        return lease

    def _next_due_ms(self, topics: Iterable[tuple[str, int]]) -> int | None:
        times = [lane.due_ms for lane in self._free(topics)] + [action.due_ms for action in self._outside()]
        return min((due_ms for due_ms in times if due_ms is not None), default=None)

    def _cancels_asked(self) -> list[tuple[int, int]]:
        return [
            (action.id, lane.id)
            for lane in self._lanes.by_id.values()
            if lane.is_claimed
            for action in lane.actions.values()
            if action.cancel_asked and not action.is_too_late
        ]

    def _free(self, topics: Iterable[tuple[str, int]]) -> list[Lane]:
        """Return the lanes of `topics` whose actions may be delivered when they are due."""
        wanted, paused = set(topics), self._lanes.paused_accounts
        return [
            lane
            for lane in self._lanes.by_id.values()
            if (lane.topic, lane.priority) in wanted and not lane.is_claimed and lane.account not in paused
        ]

    def _outside(self) -> list[Action]:
        """Return the actions that wait outside of their lanes for their time."""
        lanes = self._lanes.by_id.values()
        return [action for lane in lanes for action in lane.actions.values() if not action.in_lane]


def _as_claimed(action: Action) -> Claimed:
    new = action.new
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

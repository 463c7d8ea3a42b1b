"""What the next turn is to write: it collects while the turn before is written, and is forgotten once it is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from chat.queue.lanes import rest_after
from chat.queue.records import Finished, Release, Settled, Turn
from chat.queue.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chat.queue.lane_run import LaneRun
    from chat.queue.records import Claimed, ClaimRequest
    from chat.queue.reports import Report

Topics = tuple[tuple[str, int], ...]

MAX_ANSWERS_CHARS = 8 * 1024 * 1024
"""Of one turn; what is more reaches whoever waits for it, and is not stored."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Collected:
    """What one turn takes along of what was collected."""

    def __init__(self, following: NextTurn, ended: Sequence[LaneRun]) -> None:
        self.reports = following.reports[:]
        self.ended = ended
        self.accounts = list(following.expired_accounts)
        self.refused_cancels = following.refused_cancels[:]
        self.forgotten_topics = following.forgotten_topics


class NextTurn:
    """What was reported and asked since the last turn."""

    def __init__(self, owner: str) -> None:
        self.reports: list[tuple[LaneRun, Report]] = []
        self.expired_accounts: dict[str, None] = {}
        self.refused_cancels: list[int] = []
        self.forgotten_topics: Topics = ()
        """Lanes of these are claimed too, once, though nobody has handlers for them."""
        self.is_asked = False
        """Somebody wants actions back that may be claimed here."""
        self._owner = owner
        self._number = 0
        self._lost_numbers: tuple[int, ...] = ()

    @property
    def is_urgent(self) -> bool:
        """There is something to write, whether or not anything may be claimed."""
        return bool(self.reports or self.refused_cancels or self.is_asked)

    def turn(
        self,
        taken: Collected,
        *,
        now_ms: int,
        at_ms: int,
        running: Iterable[LaneRun],
        topics: Topics,
        claim: ClaimRequest | None,
    ) -> Turn:
        """Return what is to be written; no two have the same number."""
        self._number += 1
        self.is_asked = False
        finished, settled = _outcomes(taken.reports, now_ms)
        return Turn(
            now_ms=now_ms,
            at_ms=at_ms,
            owner=self._owner,
            number=self._number,
            lost_numbers=self._lost_numbers,
            finished=finished,
            settled=settled + _heads_back(taken.ended),
            calls=_unnoted_calls(running),
            releases=_releases(taken.ended, now_ms),
            paused_accounts=taken.accounts,
            refused_cancels=taken.refused_cancels,
            claim=claim,
            topics=topics,
        )

    def again(self, turn: Turn) -> Turn:
        """Return what is to be written in the place of `turn`, of which nobody knows whether it was."""
        self._lost_numbers = (*self._lost_numbers, turn.number)
        self._number += 1
        return replace(turn, number=self._number, lost_numbers=self._lost_numbers)

    def was_written(self, taken: Collected) -> None:
        """Forget what is on disk now."""
        self._lost_numbers = ()
        del self.reports[: len(taken.reports)], self.refused_cancels[: len(taken.refused_cancels)]
        for account in taken.accounts:
            self.expired_accounts.pop(account, None)
        if self.forgotten_topics == taken.forgotten_topics:
            self.forgotten_topics = ()


def lighter(turn: Turn) -> Turn | None:
    """Return `turn` with a claim of a single action, where it was too large to be read; None if it is so already."""
    claim = turn.claim
    if claim is None or claim.lane_count * claim.action_count == 1:
        return None
    return replace(turn, claim=replace(claim, lane_count=1, action_count=1))


def _outcomes(reports: Iterable[tuple[LaneRun, Report]], now_ms: int) -> tuple[list[Finished], list[Settled]]:
    """Return what became of the actions that were reported: those that are done, and all others."""
    finished: list[Finished] = []
    settled: list[Settled] = []
    answers_chars = 0
    for lane, report in reports:
        lease, action, entry = lane.lease, report.action, report.verdict.entry
        answer = report.result_json
        if answer is not None:
            answers_chars += len(answer)
            if answers_chars > MAX_ANSWERS_CHARS:
                _log.warning(
                    "chat.answer_dropped", reason="those of a turn are too large", size_chars=len(answer)
                )
                answer = None
        if entry.state is State.DONE:
            finished.append(Finished(action.id, lease.lane_id, lease.fence, answer))
            continue
        wait_ms = int(1000 * report.verdict.wait_s)
        settled.append(
            Settled(
                id=action.id,
                lane_id=lease.lane_id,
                fence=lease.fence,
                state=entry.state,
                in_lane=entry.in_lane,
                due_ms=now_ms + wait_ms if report.verdict.has_due_time else None,
                attempts=entry.attempts,
                was_called=entry.was_called,
                failure=entry.failure,
                result=answer,
            )
        )
    return finished, settled


def _heads_back(ended: Iterable[LaneRun]) -> list[Settled]:
    """Return the heads that did not begin, though the disk says that they are called."""
    heads = [(lane, lane.unbegun_head()) for lane in ended if not lane.is_lost]
    return [_given_back(lane, head) for lane, head in heads if head is not None]


def _releases(ended: Iterable[LaneRun], now_ms: int) -> list[Release]:
    """Return how lanes are given back."""
    return [_release(lane, now_ms) for lane in ended]


def _unnoted_calls(running: Iterable[LaneRun]) -> Sequence[tuple[int, int, int]]:
    """Return the actions whose handlers run and of which the disk does not know it, and count them as noted."""
    calls = []
    for lane in running:
        if lane.unnoted:
            calls += [(action.id, lane.lease.lane_id, lane.lease.fence) for action in lane.unnoted]
            lane.unnoted = []
    return calls


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

"""The rules of lanes: who may claim one, how much of it, whose reports count, and when it is due again. Pure.

A lane is claimed as a whole and holds its claim until the lease ends, so no two processes ever work on one key, and
what a lane costs does not depend on how much waits in it. Each claim has a new fence, and whatever is reported or
renewed must name it: a process that was frozen past its lease, and comes back, changes nothing. Who owns a claim is no
fence, since the same process may claim the same lane again.

A claim covers a prefix, of several actions, because one at a time makes a lane wait for the disk between any two. After
a claim that lapsed the next ones cover one action each, so that an action that kills its process is found out.

`statements/turns.sql` says the same for many lanes at once; `test_lanes_in_sql` holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.queue.states import Verdict

CAREFUL_COUNT = 16
"""So many claims after a lapsed one cover one action each."""

BY_USER, BY_LOGIN = 1, 2
"""Why a lane is paused; both may hold."""


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """A lane as it is stored; times are boot time in milliseconds."""

    priority: int = 0
    due_ms: int | None = None
    """When to claim it; while it is claimed, when the claim lapses; None: never, as it stands."""
    fence: int = 0
    owner: str | None = None
    claimed_to: int | None = None
    """The last action that the claim covers."""
    lapsed_to: int | None = None
    """The last action that the claim before covered, if that one lapsed."""
    careful: int = 0
    paused: int = 0
    blocked_by: int | None = None


def is_claimable(lane: Lane, now_ms: int) -> bool:
    """Return whether somebody may claim it: it is due, or whoever had it let its lease end."""
    return lane.paused == 0 and lane.due_ms is not None and lane.due_ms <= now_ms


def rank_ms(lane: Lane, ageing_ms: int) -> int:
    """Return what lanes are claimed in the order of: each step of priority is worth so much waiting."""
    return (lane.due_ms or 0) + lane.priority * ageing_ms


def claimed(lane: Lane, owner: str, until_ms: int, in_lane: Sequence[int], most: int) -> Lane:
    """Return a claimable lane that holds the actions `in_lane`, in order, as claimed by `owner`."""
    has_lapsed = lane.owner is not None
    count = 1 if has_lapsed or lane.careful > 0 else most
    covered = in_lane[:count]
    return replace(
        lane,
        owner=owner,
        fence=lane.fence + 1,
        due_ms=until_ms,
        claimed_to=covered[-1] if covered else None,
        lapsed_to=lane.claimed_to if has_lapsed else None,
        careful=CAREFUL_COUNT if has_lapsed else max(lane.careful - 1, 0),
    )


def accepts(lane: Lane, fence: int) -> bool:
    """Return whether a report of the claim with this fence counts: it is the latest one, and was not given back."""
    return lane.fence == fence and lane.owner is not None


def renewed(lane: Lane, fence: int, until_ms: int) -> Lane:
    """Return the lane with a longer lease, if the claim still holds."""
    return replace(lane, due_ms=until_ms) if accepts(lane, fence) else lane


def released(
    lane: Lane, fence: int, *, due_ms: int, blocked_by: int | None = None, careful: int = 0, has_more: bool
) -> Lane:
    """Return the lane given back by the claim with this fence, if that still holds; `has_more`: it is not empty."""
    if not accepts(lane, fence):
        return lane
    return replace(
        lane,
        owner=None,
        claimed_to=None,
        lapsed_to=None,
        careful=max(lane.careful, careful),
        blocked_by=blocked_by,
        due_ms=due_ms if has_more and blocked_by is None else None,
    )


class Rest(msgspec.Struct, frozen=True):
    """How a lane is given back."""

    due_ms: int
    blocked_by: int | None = None
    careful: int = 0


def rest_after(verdict: Verdict | None, action_id: int, now_ms: int) -> Rest:
    """Return how a lane is given back whose last action `action_id` ended with `verdict`, None if it had none."""
    if verdict is None or verdict.lane == "goes on":
        return Rest(now_ms)
    if verdict.lane == "is blocked":
        return Rest(now_ms, blocked_by=action_id)
    return Rest(now_ms + int(1000 * verdict.wait_s), careful=1)


def renewal_ms(now_ms: int, lease_ms: int) -> int:
    """Return when a lease taken at `now_ms` is to be renewed: at half."""
    return now_ms + max(1, lease_ms // 2)

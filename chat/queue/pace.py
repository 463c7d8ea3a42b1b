"""How much is claimed at once: more while the handlers wait for the disk, and no more than usual once they do not. Pure.

A turn is a transaction, with a sync and some 0.5 ms around it. Where handlers take their time, a few lanes and ten actions
of each keep them busy for many turns. Handlers that are done at once have worked all of that off before the next turn is
on disk; then each turn claims twice as much as the one before, in more lanes or, where there are no more, in longer
pieces of them. What a crash leaves uncertain grows with it, but holds only a few milliseconds of work.

Without this a turn held 20 actions of 1,000 lanes and 10 of one lane; with it 230 and 135, a drain with a handler that does
nothing took 41 us of CPU an action instead of 90 and 120, and 16,800/s came out of 1,000 lanes and 21,900/s out of one,
where it had been 6,600 and 4,400 (2026-11-23, without a disk, 2 cores under load).
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

MOST = 16
"""Lanes times actions are at most so many times as many as usual,"""
MOST_ACTIONS_COUNT = 1_280
"""and not more than this, unless that is usual: a longer turn leaves the handlers without work until it is written."""


class Pace(msgspec.Struct, frozen=True, gc=False):
    """So many times as much as usual."""

    lanes: int = 1
    actions: int = 1
    """Of one lane."""
    small_count: int = 0
    """So many claims are to be of a single action: those before were too large to be read."""


USUAL = Pace()
SMALL = Pace(small_count=64)
"""After a turn that was too large, with payloads of a megabyte say."""


def claim_size(pace: Pace, lane_count: int, action_count: int) -> tuple[int, int]:
    """Return how many lanes are claimed where `lane_count` may be, and how many actions of each (usual: the count)."""
    return (1, 1) if pace.small_count else (lane_count, action_count * pace.actions)


def most_times(usual_count: int) -> int:
    """Return how many times as much as usual may be claimed, where `usual_count` actions are usual."""
    return min(MOST, max(1, MOST_ACTIONS_COUNT // usual_count))


def after_turn(
    pace: Pace, *, most: int, was_idle: bool, is_behind: bool, claimed_count: int, asked_count: int
) -> Pace:
    """Return the pace of the next claim after a turn that asked for `asked_count` lanes and claimed `claimed_count`.

    `most`: no more than so many times as much as usual; see `most_times`.
    `was_idle`: the handlers were done with everything when it was on disk. `is_behind`: they had not begun with much of
    what was claimed before.
    """
    if pace.small_count:
        return replace(pace, small_count=pace.small_count - 1)
    if claimed_count == 0 and was_idle:
        return USUAL
    if is_behind:
        return Pace(max(1, pace.lanes // 2), max(1, pace.actions // 2))
    if not was_idle:
        return pace
    if claimed_count >= asked_count:
        return Pace(*_doubled(pace.lanes, pace.actions, most))
    actions, lanes = _doubled(pace.actions, pace.lanes, most)
    return Pace(lanes, actions)


def _doubled(more: int, less: int, most: int) -> tuple[int, int]:
    """Return `more` twice, at the cost of `less` where both together would be too much."""
    if 2 * more * less <= most:
        return 2 * more, less
    return (2 * more, less // 2) if less > 1 else (more, less)

"""What passes between the loop and the tables.

All times are boot time in milliseconds unless their name ends in `_at_ms`, which is wall time. These are structs and not
dataclasses because one of each is made for every action: a frozen dataclass of five fields takes ten times as long.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from chat.errors import Failure
from chat.queue.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence


class Added(Enum):
    """What became of an action that was to be stored."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    FULL = "full"


class NewAction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An action as it is stored."""

    client_id: str
    type: str
    version: int
    lane_key: str
    topic: str
    account: str
    priority: int
    payload: bytes
    digest: bytes
    key_id: str | None = None
    in_lane: bool = True
    due_ms: int | None
    """When it is due; of one that waits outside of its lane, when it enters; None: when it needs nothing more."""
    packed_ms: int
    """When it was given to the queue, in boot time; `created_at_ms` is the same in wall time."""
    created_at_ms: int
    not_before_at_ms: int | None = None
    expires_at_ms: int | None = None
    max_attempts: int | None = None
    subject: str | None = None
    target_id: str | None = None
    needs: tuple[str, ...] = ()
    """The client ids of the actions that must be done before it; those that the outbox does not hold count as done."""


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """An action under a claim."""

    id: int
    lane_id: int
    client_id: str
    type: str
    version: int
    state: State
    attempts: int
    was_called: bool
    max_attempts: int | None
    created_at_ms: int
    expires_at_ms: int | None
    cancel_asked: int
    """1: somebody wants it taken back."""
    key_id: str | None
    payload: bytes


class Lease(msgspec.Struct):
    """A claimed lane; whoever reports about it names lane and fence."""

    lane_id: int
    key: str
    account: str
    fence: int
    has_lapsed: bool
    """Another process held it before, and let its claim lapse."""
    actions: list[Claimed] = msgspec.field(default_factory=list)


class Finished(msgspec.Struct, frozen=True, gc=False):
    """An action that was done."""

    id: int
    lane_id: int
    fence: int
    result: str | None
    """JSON."""


class Settled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An action of which something else became."""

    id: int
    lane_id: int
    fence: int
    state: State
    in_lane: bool
    due_ms: int | None
    attempts: int
    was_called: bool
    failure: Failure | None = None
    result: str | None = None


class Release(msgspec.Struct, frozen=True, gc=False):
    """A lane that is given back."""

    lane_id: int
    fence: int
    due_ms: int
    """When it is due again, if anything is in it."""
    blocked_by: int | None = None
    careful_count: int = 0
    """So many claims are to cover one action only."""


class ClaimRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is to be claimed."""

    lane_count: int
    action_count: int
    """The most in one lane."""
    topics: tuple[tuple[str, int], ...]
    """With their priorities: those that somebody here has handlers for."""
    until_ms: int
    """When the claims lapse."""
    ageing_ms: int
    careful_count: int


class EndFound(msgspec.Struct, frozen=True):
    """How an action ended."""

    client_id: str
    state: State
    result: str | None
    failure: Failure | None
    carried_by: str | None
    """The client id of the action that it was merged into."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What is written in one transaction: reports first, then releases, then claims."""

    now_ms: int
    at_ms: int
    owner: str
    number: int
    """Of the claim; no two of an owner are alike."""
    lost_numbers: tuple[int, ...] = ()
    """Of turns that may have been written, though nobody was told: what they claimed is given back."""
    finished: Sequence[Finished] = ()
    settled: Sequence[Settled] = ()
    calls: Sequence[tuple[int, int, int]] = ()
    """Action, lane and fence of those whose handlers run."""
    releases: Sequence[Release] = ()
    paused_accounts: Sequence[str] = ()
    """They have to log in again."""
    refused_cancels: Sequence[int] = ()
    """Actions that can't be taken back any more."""
    claim: ClaimRequest | None = None
    topics: tuple[tuple[str, int], ...] = ()


class TurnDone(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn did, now on disk."""

    accepted_ids: frozenset[int] = frozenset()
    """The actions whose report counted; the claims of the others had lapsed."""
    leases: Sequence[Lease] = ()
    lapsed_count: int = 0
    """Actions taken over from claims that had lapsed."""
    next_due_ms: int | None = None
    cancels_asked: Sequence[tuple[int, int]] = ()
    """Actions under claims of this owner, and their lanes, that somebody wants to take back."""

"""A place for a worker and the calls that are at it; the worker in a slot changes when one dies."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Literal

import anyio

if TYPE_CHECKING:
    from workers.slot_events import SlotEvents
    from workers.worker import Pending, Worker


Need = Literal["", "replace", "wake", "refresh", "retire"]
"""What a slot wants of its keeper: a worker for one that died, one at all, a new one for an old one, none."""


class Slot:
    """What a pool knows of one worker."""

    def __init__(self, index: int, *, is_maintenance: bool = False) -> None:
        self.index = index
        self.is_maintenance = is_maintenance
        """Its worker takes maintenance calls only."""
        self.worker: Worker | None = None
        """None from a worker's death until its successor is ready."""
        self.events: SlotEvents | None = None
        """What its worker speaks to."""
        self.in_flight: dict[int, Pending] = {}
        """By `seq`, in the order they were sent."""
        self.outgoing: list[Pending] = []
        """Assigned in this turn, sent at its end."""
        self.pinned: deque[Pending] = deque()
        """Calls of sessions, which wait for this worker only."""
        self.has_requests = False
        """Some of `outgoing` are typed requests."""
        self.next_seq = 1
        self.long_count = 0
        """Scans or maintenance calls at its worker."""
        self.session_count = 0
        self.slow = False
        """What runs takes long: nothing short is sent behind it."""
        self.recalled_first = 0
        self.stop_stage = 0
        """0 none, 1 SIGTERM was sent, 2 SIGKILL; from 1 on it is terminating and gets no more calls."""
        self.stop_at = 0.0
        self.served_count = 0
        self.death_reason = ""
        self.is_dormant = False
        """It needs no worker until there is more to do."""
        self.is_starting = False
        """Its worker is on its way."""
        self.is_draining = False
        """Its worker gets no more calls, since another takes its place."""
        self.drained = anyio.Event()
        self.need: Need = ""
        self.calls = anyio.Event()
        """Set when there is a `need`."""
        self.refresh_at_seq = sys.maxsize
        self.pinged_at = 0.0
        """When the ping that is unanswered was sent; 0.0 for none."""
        self.ponged_at = 0.0
        self.ponged = anyio.Event()
        self.resident_bytes = 0
        """The memory of its worker at the last pong."""
        self.seq_seen = 0
        self.idle_since = 0.0

    def takes_calls(self, window_count: int) -> bool:
        """Return whether any call may be sent to it now."""
        return (
            self.worker is not None
            and not self.stop_stage
            and not self.is_draining
            and len(self.in_flight) < window_count
        )

    def ask(self, need: Need) -> None:
        """Have the keeper do something for it; a death goes before all else."""
        if self.need != "replace":
            self.need = need
            self.calls.set()

    def assign(self, pending: Pending) -> None:
        """Put a call among those that leave at the end of this turn."""
        pending.seq = self.next_seq
        self.next_seq += 1
        pending.slot = self
        pending.sends_count += 1
        self.in_flight[pending.seq] = pending
        self.outgoing.append(pending)
        if pending.priority >= 0:
            self.has_requests = True
        if pending.lane != "short" and pending.pinned is None:
            self.long_count += 1

    def unassign(self, pending: Pending) -> None:
        """Take note that a call, already out of `in_flight`, is not here any more."""
        pending.slot = None
        if pending.lane != "short" and pending.pinned is None:
            self.long_count -= 1


def load_of(slot: Slot) -> int:
    """Return how many calls are at the worker: the least busy one is the next to get some."""
    return len(slot.in_flight)

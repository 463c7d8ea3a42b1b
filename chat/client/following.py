"""Where each stream stands here, and what an event that comes means for it: by arithmetic on its number. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

Arrival = Literal["next", "known", "gap"]


class Position(NamedTuple):
    """How far a stream was taken over."""

    epoch: str
    seq: int


class Told(msgspec.Struct, frozen=True):
    """What the server says of a stream when it is subscribed to."""

    epoch: str
    last_seq: int
    recovered: bool


Step = Literal["follow", "refill", "begin anew"]


def arrival(position: Position, seq: int) -> Arrival:
    """Return what the event `seq` is to somebody who has all up to `position`."""
    if seq <= position.seq:
        return "known"
    return "next" if seq == position.seq + 1 else "gap"


def on_subscribed(position: Position | None, told: Told) -> Step:
    """Return what to do about a stream: the missed events come by themselves, or have to be fetched, or all is new."""
    if position is None or position.epoch != told.epoch or position.seq > told.last_seq:
        return "begin anew"
    return "follow" if told.recovered or position.seq == told.last_seq else "refill"


def reconnect_wait_s(failures: int, chance: float, *, first_s: float = 0.5, most_s: float = 30.0) -> float:
    """Return how long to wait before connecting again: any time up to a bound that doubles, so that all come spread out."""
    return chance * min(most_s, first_s * 2.0 ** min(failures, 16))

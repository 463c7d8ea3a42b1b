"""Rows of the benchmark: ours against a peer in the same rounds, and whether a budget is met; pure.

A ratio is made round by round and the median of the ratios is kept, since the machine's speed drifts between rounds:
both sides of one round saw nearly the same machine. A ratio above one always means that ours is better.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Better = Literal["higher", "lower"]
Subject = Literal["ratio", "ours", "difference"]


def median_ratio(ours: Sequence[float], peer: Sequence[float], better: Better) -> float:
    """Return the median over the rounds of how many times better ours was."""
    if len(ours) != len(peer):
        raise ValueError(
            f"{len(ours)} rounds of ours, {len(peer)} of the peer: a ratio needs both of each round"
        )
    pairs = zip(ours, peer, strict=True)
    return statistics.median(mine / theirs if better == "higher" else theirs / mine for mine, theirs in pairs)


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One limit of a budget: on the ratio (at least), or on ours or on ours minus the peer's (at most)."""

    limit: float
    of: Subject = "ratio"

    def holds(self, row: Row) -> bool | None:
        """Say whether `row` keeps the limit; None when it has nothing to compare."""
        match self.of:
            case "ratio":
                return None if row.ratio is None else row.ratio >= self.limit
            case "ours":
                return None if row.ours is None else row.ours <= self.limit
            case "difference":
                return None if row.ours is None or row.peer is None else row.ours - row.peer <= self.limit

    def text(self, unit: str) -> str:
        """Return the limit as the table shows it."""
        match self.of:
            case "ratio":
                return f"{self.limit:g}x"
            case "ours":
                return f"<= {self.limit:g} {unit}"
            case "difference":
                return f"<= +{self.limit:g} {unit}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; `note` says why a figure is missing, or what the reader must know of it."""

    group: str
    what: str
    peer_name: str
    unit: str
    better: Better = "higher"
    ours: float | None = None
    peer: float | None = None
    ratio: float | None = None
    floor: Bound | None = None
    goal: Bound | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return `goal`, `floor`, `BELOW`, or a dash where no budget is set or nothing was measured."""
        floor = self.floor.holds(self) if self.floor else None
        goal = self.goal.holds(self) if self.goal else None
        if goal:
            return "goal"
        if floor:
            return "floor"
        return "-" if floor is None and goal is None else "BELOW"


def versus(
    *,
    group: str,
    what: str,
    ours: Sequence[float],
    peer_name: str,
    peer: Sequence[float],
    unit: str,
    better: Better = "higher",
    floor: Bound | None = None,
    goal: Bound | None = None,
    note: str = "",
) -> Row:
    """Return the row for the rounds of both sides; without rounds of one side the row stands without a ratio."""
    both = bool(ours) and bool(peer)
    return Row(
        group=group,
        what=what,
        peer_name=peer_name,
        unit=unit,
        better=better,
        ours=statistics.median(ours) if ours else None,
        peer=statistics.median(peer) if peer else None,
        ratio=median_ratio(ours, peer, better) if both else None,
        floor=floor,
        goal=goal,
        note=note,
    )

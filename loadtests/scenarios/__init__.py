"""What one visitor asks for, by name and weight: a shape of real use, where most requests are small and a few are not.

Each scenario is a pure function from what there is (`Plan`) to one request (`Ask`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from loadtests.plan import Plan
from loadtests.scenarios import exports, filtered_lists, pages, point_reads, scans, writes
from loadtests.scenarios.ask import Ask


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One kind of request; `weight` is its share of a thousand."""

    name: str
    weight: int
    ask: Callable[[Plan, Random], Ask | None]
    """None when the server holds nothing to ask for."""


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(name="point read", weight=620, ask=point_reads.ask),
    Scenario(name="page", weight=180, ask=pages.ask),
    Scenario(name="filtered list", weight=80, ask=filtered_lists.ask),
    Scenario(name="write", weight=110, ask=writes.ask),
    Scenario(name="scan", weight=8, ask=scans.ask),
    Scenario(name="export", weight=2, ask=exports.ask),
)
"""A thousand requests."""

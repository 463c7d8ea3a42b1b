"""The first page of a table, in the order of its key or against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.scenarios.ask import Ask

if TYPE_CHECKING:
    from random import Random

    from loadtests.plan import Plan

_LIMIT = 50


def ask(plan: Plan, random: Random) -> Ask | None:
    """Return the request for one page."""
    if not plan.paged:
        return None
    return Ask(method="GET", path=f"{random.choice(plan.paged)}?limit={_LIMIT}")

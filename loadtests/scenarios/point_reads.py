"""One row by its key, out of any table that has a key of one part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.scenarios.ask import Ask

if TYPE_CHECKING:
    from random import Random

    from loadtests.plan import Plan


def ask(plan: Plan, random: Random) -> Ask | None:
    """Return the request for one row."""
    if not plan.keyed:
        return None
    table = random.choice(plan.keyed)
    return Ask(method="GET", path=f"{table.path}/{random.choice(table.keys)}")

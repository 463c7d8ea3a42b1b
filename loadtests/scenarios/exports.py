"""All rows of the largest table, streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.scenarios.ask import Ask

if TYPE_CHECKING:
    from random import Random

    from loadtests.plan import Plan


def ask(plan: Plan, random: Random) -> Ask | None:
    """Return the request for one export."""
    return Ask(method="GET", path=random.choice(plan.exported)) if plan.exported else None

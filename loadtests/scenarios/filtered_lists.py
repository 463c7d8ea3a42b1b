"""The rows of a table that have one value in one column, the greatest first: a list as a web page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from loadtests.scenarios.ask import Ask

if TYPE_CHECKING:
    from random import Random

    from loadtests.plan import Plan

_LIMIT = 20


def ask(plan: Plan, random: Random) -> Ask | None:
    """Return the request for one list."""
    if not plan.listed:
        return None
    table = random.choice(plan.listed)
    wanted = {f"{table.column}__eq": random.choice(table.values), "order": table.order, "limit": _LIMIT}
    return Ask(method="GET", path=f"{table.path}?{urlencode(wanted)}")

"""A report that somebody wrote in SQL: it reads the largest table whole, several times."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from loadtests.scenarios.ask import Ask

if TYPE_CHECKING:
    from random import Random

    from loadtests.plan import Plan


def ask(plan: Plan, random: Random) -> Ask | None:
    """Return the request for one report."""
    if not plan.scans:
        return None
    scan = random.choice(plan.scans)
    return Ask(method="POST", path=f"/v1/databases/{quote(scan.database)}/query", json={"sql": scan.sql})

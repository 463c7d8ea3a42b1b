"""One row inserted; the answer comes after its fsync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.scenarios.ask import Ask

if TYPE_CHECKING:
    from random import Random

    from loadtests.plan import Plan

_AUTHORS_COUNT = 1_000
_WORDS = ("the", "queue", "holds", "what", "was", "sent", "and", "gives", "it", "back", "in", "order")


def ask(plan: Plan, random: Random) -> Ask:
    """Return the request for one insert."""
    words = " ".join(random.choices(_WORDS, k=random.randint(3, 40)))
    return Ask(
        method="POST",
        path=plan.written_path,
        json={"author": random.randrange(_AUTHORS_COUNT), "body": words},
    )

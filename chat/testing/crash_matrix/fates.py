"""What becomes of one run of a process of the matrix. Pure: the chance is an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from chat.testing.crashes import STEPS

if TYPE_CHECKING:
    from random import Random

_FOLLOWER_STEPS = ("adding", "added")
_TIMES_A_SECOND = {"adding": 2, "added": 2, "turning": 20, "turned": 20, "calling": 30, "answered": 30}
"""How often a process comes to a step, more or less."""


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a process; `crash`: it kills itself at a step, or is killed at last after `after_s`."""

    kind: Literal["crash", "kill", "freeze", "stop", "none"]
    after_s: float = 0.0
    step: str | None = None
    nth: int = 0
    """How often it comes to the step before it crashes there."""
    frozen_s: float = 0.0
    lives_on_s: float = 0.0
    """After it was woken; then it is killed."""


SPARED = Fate(kind="none")


def drawn(chance: Random, number: int, *, delivers: bool, longest_s: float, lease_s: float) -> Fate:
    """Return the fate of the `number`th run of a process; whether it `delivers` says which steps it comes to."""
    luck = chance.random()
    if luck < 0.6:  # noqa: PLR2004 - a share
        steps = STEPS if delivers else _FOLLOWER_STEPS
        step = steps[number % len(steps)]
        nth = int((_TIMES_A_SECOND[step] * longest_s) ** chance.random())  # often soon, seldom late
        return Fate(kind="crash", step=step, nth=max(nth, 1), after_s=longest_s)
    if luck < 0.75:  # noqa: PLR2004 - a share
        return Fate(kind="kill", after_s=0.001 * (1000 * longest_s) ** chance.random())
    if luck < 0.85:  # noqa: PLR2004 - a share
        return Fate(kind="stop", after_s=chance.uniform(0.0, longest_s))
    return Fate(
        kind="freeze",
        after_s=chance.uniform(0.1, longest_s),
        frozen_s=lease_s * chance.uniform(1.1, 2.0),
        lives_on_s=chance.uniform(0.05, 1.0),
    )

"""Waiting for a fact instead of for a time: by event where there is one, else by looking again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 20.0
_TURNS_COUNT = 100
"""So often each turn of the loop is looked at; what takes longer happens elsewhere, and needs the processor for it."""
_PAUSE_S = 0.001


async def until(fact: Callable[[], bool]) -> None:
    """Return once `fact()` is true; a fact that never comes true fails the test after `LIMIT_S`."""
    with anyio.fail_after(LIMIT_S):
        turns = 0
        while not fact():
            turns += 1
            await (checkpoint() if turns < _TURNS_COUNT else anyio.sleep(_PAUSE_S))

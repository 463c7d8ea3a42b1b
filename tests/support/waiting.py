"""Waiting for a fact instead of for a time: by event where there is one, else by looking again each turn of the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 20.0


async def until(fact: Callable[[], bool]) -> None:
    """Return once `fact()` is true; a fact that never comes true fails the test after `LIMIT_S`."""
    with anyio.fail_after(LIMIT_S):
        while not fact():
            await checkpoint()

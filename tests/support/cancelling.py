"""Native cancellation, as asyncio alone has it."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING, Any

import anyio
import pytest

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from workers import Pool


async def left_open_by_a_cancel_in_the_turn_of_the_answer(
    pool: Pool, asked: Coroutine[Any, Any, Any]
) -> list[warnings.WarningMessage]:
    """Cancel `asked`, the first call of `pool`, when its answer is there and not taken; return what was left open."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        task = asyncio.ensure_future(asked)
        with anyio.fail_after(10):
            while not pool.statistics().completed_count:  # noqa: ASYNC110 - each turn is looked at
                await asyncio.sleep(0)
        assert task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task, asked
        gc.collect()  # what is left open says so
    return caught

"""Many small items under a rate limit: a batch a call, so many items a second, so many calls at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from workers import open_bridges

if TYPE_CHECKING:
    from workers.examples.stage import Stage

ITEMS_COUNT, BATCH_COUNT, RATE_PER_S, AT_ONCE = 1_000, 50, 5_000, 4


async def example(stage: Stage) -> None:
    """Compress a thousand messages in batches of fifty, no more than five thousand a second."""
    items = [b'{"id": %d, "text": "a message of no great length"}' % number for number in range(ITEMS_COUNT)]
    batches = [items[start : start + BATCH_COUNT] for start in range(0, ITEMS_COUNT, BATCH_COUNT)]
    packed: dict[int, list[bytes | memoryview]] = {}
    places = anyio.CapacityLimiter(AT_ONCE)
    async with open_bridges() as bridges:

        async def pack(index: int) -> None:
            async with places:
                packed[index] = await bridges.compression.compress_many(batches[index])

        begun = time.monotonic()
        async with anyio.create_task_group() as group:
            for index in range(len(batches)):
                due_at = begun + index * BATCH_COUNT / RATE_PER_S  # no drift: each batch has its own time
                await anyio.sleep(max(0.0, due_at - time.monotonic()))
                group.start_soon(pack, index)
        rate = ITEMS_COUNT / (time.monotonic() - begun)
        calls_count = bridges.compression.stats().completed_count
    stage.say(
        f"{ITEMS_COUNT} items in {calls_count} calls, in order: {sorted(packed) == list(range(len(batches)))}"
    )
    stage.say(f"the limit held: {rate <= RATE_PER_S * 1.06}")

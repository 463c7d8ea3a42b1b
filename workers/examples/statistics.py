"""What the pools have done: counts, and how long requests waited and ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from workers import BridgeSettings, open_bridges

if TYPE_CHECKING:
    from workers.examples.stage import Stage

REQUESTS_COUNT = 20


async def example(stage: Stage) -> None:
    """Ask for some hashes at once, and read the statistics of the bridge and its pool."""
    await stage.write("file", size_bytes=100_000)
    async with open_bridges(BridgeSettings(worker_count=2)) as bridges:
        async with anyio.create_task_group() as group:
            for _ in range(REQUESTS_COUNT):
                group.start_soon(lambda: bridges.files.hash("file", root=stage.folder))
        bridge = bridges.files.stats()
        stage.say(
            f"{bridge.name}: {bridge.completed_count} done, {bridge.failed_count} failed, {bridge.pending_count} pending"
        )
        for pool in bridge.pools:
            stage.say(
                f"{pool.name}: {pool.worker_count} workers ({pool.kind}), waited up to {pool.wait_us.quantile_us(1):,} us, "
                f"ran half in {pool.run_us.quantile_us(0.5):,} us"
            )

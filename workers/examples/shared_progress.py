"""One progress for several workers, in shared memory: no message is sent for a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from workers import BridgeSettings, SharedProgress, open_bridges
from workers.examples.services import Share

if TYPE_CHECKING:
    from workers.examples.stage import Stage

WORKERS_COUNT, SHARES_COUNT, STEPS_COUNT = 2, 8, 300


async def example(stage: Stage) -> None:
    """Give the same progress to two processes and follow it from here."""
    total = SHARES_COUNT * STEPS_COUNT
    percents: list[float] = []
    processes: set[int] = set()
    with SharedProgress(total) as progress:
        async with open_bridges(BridgeSettings(kind="process", worker_count=WORKERS_COUNT)) as bridges:
            service = bridges.service("workers.examples.services:SharingService")

            async def work() -> None:
                with await service.request(
                    "work", Share(STEPS_COUNT), int, buffers=[progress.get_buffer()]
                ) as answer:
                    processes.add(answer.value)

            async def follow() -> None:
                async with progress.subscribe() as states:
                    async for state in states:
                        percents.append(state.percent or 0.0)
                        if state.done == total:
                            return

            async with anyio.create_task_group() as group:
                group.start_soon(follow)
                for _ in range(SHARES_COUNT):
                    group.start_soon(work)
        stage.say(
            f"{progress.done} of {progress.total} steps, by up to {WORKERS_COUNT} processes: {len(processes)}"
        )
    stage.say(f"seen on the way: rising {percents == sorted(percents)}, to {percents[-1]:.0f} %")

"""Workers may die: what may run twice is tried again, and what may not is told to its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers import BridgeSettings, WorkerDied, open_bridges
from workers.examples.services import Attempt

if TYPE_CHECKING:
    from workers.examples.stage import Stage


async def example(stage: Stage) -> None:
    """Kill the worker twice in the middle of a request, and get the answer all the same."""
    settings = BridgeSettings(kind="process", redo_in_process=False)
    async with open_bridges(settings) as bridges:
        service = bridges.service("workers.examples.services:FlakyService")
        attempt = Attempt(str(stage.folder / "tries"), fails_count=2)
        with await service.request("fetch", attempt, int, retries_count=3) as answer:
            stage.say(f"answered at try {answer.value}")
        stage.say(f"retried {service.stats().retried_count} times")
        try:
            await service.request(
                "fetch", Attempt(str(stage.folder / "once"), fails_count=1), int, idempotent=False
            )
        except WorkerDied as error:
            stage.say(f"what may not run twice: {type(error).__name__}, begun: {error.begun}")

"""Cancel work that is under way: a cancel scope around the call is enough."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from workers import BridgeSettings, TaskTimedOut, open_bridges

if TYPE_CHECKING:
    from workers.examples.stage import Stage

HUGE_BYTES = 1024**4


async def example(stage: Stage) -> None:
    """Hash a file that would take an hour, stop after a moment, and use the same worker again."""
    async with await anyio.open_file(stage.folder / "huge", "wb") as file:
        await file.truncate(HUGE_BYTES)  # a hole: it takes no space
    await stage.write("small", size_bytes=1000)
    settings = BridgeSettings(cancel_grace_s=1.0)  # a busy machine may be slow to look
    async with open_bridges(settings) as bridges:
        with anyio.move_on_after(0.1) as scope:
            await bridges.files.hash("huge", root=stage.folder)
        stage.say(f"cancelled: {scope.cancelled_caught}")
        begun = time.perf_counter()
        hashed = await bridges.files.hash("small", root=stage.folder)
        stage.say(
            f"the worker answers again {(time.perf_counter() - begun) * 1e3:.1f} ms later: {hashed.size_bytes} bytes"
        )
        try:
            await bridges.files.hash("huge", root=stage.folder, timeout_s=0.1)
        except TaskTimedOut as error:
            stage.say(f"a time limit does the same: {error}")

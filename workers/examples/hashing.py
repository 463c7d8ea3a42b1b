"""Hash several files at once, each with three algorithms in one reading."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from workers import BridgeSettings, open_bridges

if TYPE_CHECKING:
    from workers.examples.stage import Stage

FILES_COUNT = 4


async def example(stage: Stage) -> None:
    """Hash files side by side on two workers; threads do, since hashing leaves the interpreter to others."""
    for index in range(FILES_COUNT):
        await stage.write(f"{index}.bin", size_bytes=stage.size_bytes // FILES_COUNT)
    digests: dict[str, str] = {}
    async with open_bridges(BridgeSettings(worker_count=2)) as bridges:

        async def hash_one(name: str) -> None:
            hashed = await bridges.files.hash(
                name, root=stage.folder, algorithms=("sha256", "sha512", "blake3")
            )
            digests[name] = hashed.digests["blake3"]

        begun = time.perf_counter()
        async with anyio.create_task_group() as group:
            for index in range(FILES_COUNT):
                group.start_soon(hash_one, f"{index}.bin")
        took_ms = (time.perf_counter() - begun) * 1e3
    for name in sorted(digests):
        stage.say(f"{name} {digests[name][:24]}")
    stage.say(f"{FILES_COUNT} files, {stage.size_bytes:,} bytes, three sums each: {took_ms:.0f} ms")

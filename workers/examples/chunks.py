"""Split a file, damage a chunk, be told which, mend it and put the file together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from workers import ChunkRefused, open_bridges
from workers.examples.stage import MIB

if TYPE_CHECKING:
    from workers.examples.stage import Stage


async def example(stage: Stage) -> None:
    """Chunks are verified one by one, in their order, and the whole at the end."""
    size = await stage.write("film")
    async with open_bridges() as bridges:
        split = await bridges.files.split("film", "parts", root=stage.folder, chunk_bytes=MIB)
        stage.say(f"{size:,} bytes in {len(split.manifest.chunks)} chunks")
        await anyio.Path(stage.folder / "parts" / "000001.chunk").write_bytes(b"oops")
        try:
            await bridges.files.merge("parts", "again", root=stage.folder)
        except ChunkRefused as error:
            stage.say(f"refused: {error} ({error.details['reason']})")
        split = await bridges.files.split("film", "parts", root=stage.folder, chunk_bytes=MIB)
        stage.say(f"split again: {split.written_count} chunk had to be written")
        merged = await bridges.files.merge("parts", "again", root=stage.folder)
        stage.say(
            f"merged {merged.size_bytes:,} bytes; {merged.kept_count} of the chunks had been put there by the first try"
        )

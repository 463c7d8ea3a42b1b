"""Compress in several ways, with a dictionary for small messages, and refuse a bomb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from workers import OutputLimits, OutputTooLarge, open_bridges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workers.examples.stage import Stage

PIECE_BYTES = 256 * 1024


async def example(stage: Stage) -> None:
    """Show one-shot calls, a stream, a dictionary and the limits."""
    await stage.write("log", size_bytes=stage.size_bytes // 8)
    data = await anyio.Path(stage.folder / "log").read_bytes()
    async with open_bridges() as bridges:
        for codec in ("zstd", "gzip", "brotli"):
            packed = await bridges.compression.compress(data, codec)
            same = await bridges.compression.decompress(packed, codec) == data
            stage.say(f"{codec}: {len(data):,} bytes became {len(packed):,}; the same again: {same}")

        async def pieces() -> AsyncIterator[bytes]:
            async with await anyio.open_file(stage.folder / "log", "rb") as file:
                while piece := await file.read(PIECE_BYTES):
                    yield piece

        streamed = 0
        async for piece in bridges.compression.compress_stream(pieces(), "zstd"):
            streamed += len(piece)
        stage.say(f"zstd as a stream, never all of it in memory: {streamed:,} bytes")

        messages = [b'{"id": %d, "room": "room-%d", "text": "hello"}' % (n, n % 7) for n in range(2000)]
        dictionary = await bridges.compression.train(messages, size_bytes=4096)
        plain = await bridges.compression.compress_many(messages)
        small = await bridges.compression.compress_many(messages, dictionary=dictionary)
        stage.say(
            f"{len(messages)} messages: {_total(messages):,} bytes, zstd {_total(plain):,}, with a dictionary {_total(small):,}"
        )

        bomb = await bridges.compression.compress(bytes(30_000_000))
        try:
            await bridges.compression.decompress(bomb, limits=OutputLimits(max_output_bytes=10_000_000))
        except OutputTooLarge as error:
            stage.say(f"{len(bomb):,} bytes that would become 30,000,000 are refused: {error}")


def _total(items: list[bytes] | list[bytes | memoryview]) -> int:
    return sum(map(len, items))

"""Streams that are compressed and decompressed as they pass.

A stream's state stays in this process, and its steps run in threads, as many at a time as there are cores: the codecs
leave the interpreter to others, nothing is copied to another process, and no worker's death can tear the stream.
Compressing a small piece is shorter than the hop to a thread and runs on the loop; what comes out of compressed
bytes nobody knows before, so decompressing never does.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar, checkpoint

from workers.bridges.compression_effort import ENDLESS, LOOP_BYTES, compressing
from workers.services.compression.codecs import packing
from workers.services.compression.unpacking import PIECE_BYTES, Unpacker

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator

    from workers.buffers import Bytes
    from workers.services.compression.limits import OutputLimits

STEP_BYTES = 1024 * 1024
"""About how much one hop to a thread takes in or gives back."""
SLOW_STEP_BYTES = 16 * 1024
"""At the slowest levels; a step that runs is waited for, also by who cancels."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_limiter: RunVar[anyio.CapacityLimiter] = RunVar("workers_compression_streams")


async def compressed_stream(
    source: AsyncIterable[Bytes], codec: str, level: int | None
) -> AsyncGenerator[bytes, None]:
    """Yield the compressed stream; see `CompressionBridge.compress_stream`."""
    stream = packing(codec, level)
    step_bytes = STEP_BYTES if compressing(codec, level, STEP_BYTES) < ENDLESS else SLOW_STEP_BYTES
    async with _ended_with(source):
        async for chunk in source:
            view = memoryview(chunk).cast("B")
            for start in range(0, len(view), step_bytes):
                piece = view[start : start + step_bytes]
                effort = compressing(codec, level, len(piece))
                if out := await _stepped(effort, stream.push, piece):
                    yield out
    yield await _stepped(LOOP_BYTES, stream.end)


async def decompressed_stream(
    source: AsyncIterable[Bytes], codec: str, limits: OutputLimits
) -> AsyncGenerator[bytes, None]:
    """Yield the decompressed stream; see `CompressionBridge.decompress_stream`."""
    stream = Unpacker(codec, limits)
    async with _ended_with(source):
        async for chunk in source:
            pieces = stream.feed(chunk)
            while group := await _stepped(LOOP_BYTES, _some, pieces):
                for piece in group:
                    yield piece
    stream.end()


@asynccontextmanager
async def _ended_with(source: AsyncIterable[Bytes]) -> AsyncIterator[None]:
    """Close `source` at the end, if it is a generator: whoever leaves a stream early leaves no half-run source."""
    try:
        yield
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


def _some(pieces: Iterator[bytes]) -> list[bytes]:
    """Return the next pieces, together about `STEP_BYTES`; an empty list at the end."""
    return list(islice(pieces, STEP_BYTES // PIECE_BYTES))


async def _stepped(effort: int, step: Callable[[*Ts], T], *given: *Ts) -> T:
    """Run `step` where one of this effort belongs, and let the loop turn."""
    if effort < LOOP_BYTES:
        await checkpoint()
        return step(*given)
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(os.cpu_count() or 1)
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(step, *given, limiter=limiter)

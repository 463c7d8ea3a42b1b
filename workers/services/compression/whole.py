"""Compress and decompress what is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.services.compression.codecs import packing
from workers.services.compression.unpacking import Unpacker

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from workers.methods import Task
    from workers.services.compression.limits import OutputLimits

BLOCK_BYTES = 256 * 1024
"""How much is compressed between two looks at the task's deadline."""


def compress(
    data: Buffer, codec: str, level: int | None = None, *, dictionary: bytes | None = None, task: Task
) -> list[bytes]:
    """Return `data` compressed by `codec` at `level` (its default if None), in parts.

    Raises:
        CodecRefused: There is no such codec or level, or it takes no dictionary.
    """
    view = memoryview(data).cast("B")
    stream = packing(codec, level, size_bytes=len(view), dictionary=dictionary)
    parts = []
    for start in range(0, len(view), BLOCK_BYTES):
        task.check()
        parts.append(stream.push(view[start : start + BLOCK_BYTES]))
        task.progress(min(start + BLOCK_BYTES, len(view)), len(view))
    parts.append(stream.end())
    return [part for part in parts if part]


def decompress(
    data: Buffer, codec: str, limits: OutputLimits, *, dictionary: bytes | None = None, task: Task
) -> list[bytes]:
    """Return, in parts, what `data` was made of: one stream, or several frames where the codec has such.

    Raises:
        DataDamaged: It is no such stream, ends early, or something follows it.
        OutputTooLarge: More would come out than `limits` allow.
        CodecRefused: There is no such codec, or it takes no dictionary.
    """
    view = memoryview(data).cast("B")
    stream = Unpacker(codec, limits, size_bytes=len(view), dictionary=dictionary)
    parts = []
    for start in range(0, len(view), BLOCK_BYTES):
        task.check()
        for piece in stream.feed(view[start : start + BLOCK_BYTES]):
            task.check()
            parts.append(piece)
        task.progress(stream.input_bytes, len(view))
    stream.end()
    return parts

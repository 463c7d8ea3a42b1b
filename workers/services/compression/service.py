"""The compression service: typed methods around this package's functions; it runs in any kind of worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from workers.body import SLICE_BYTES, Body
from workers.errors import InvalidParameters
from workers.methods import MethodService, Task, method
from workers.services.batches import parted
from workers.services.compression.codecs import CodecName
from workers.services.compression.limits import OutputLimits
from workers.services.compression.stored import compress_file, decompress_file
from workers.services.compression.whole import compress, decompress


class CompressParams(msgspec.Struct, frozen=True, kw_only=True):
    """Items to compress, each by itself: one after the other in a buffer; a second one is the dictionary."""

    codec: CodecName
    level: int | None = None
    lengths: tuple[int, ...]
    """Of the items, in bytes."""


class DecompressParams(msgspec.Struct, frozen=True, kw_only=True):
    """Items to decompress, each by itself: one after the other in a buffer; a second one is the dictionary."""

    codec: CodecName
    limits: OutputLimits
    """The size is that of all items together, the ratio that of each."""
    lengths: tuple[int, ...]
    """Of the items, in bytes."""


class TrainParams(msgspec.Struct, frozen=True, kw_only=True):
    """Samples to make a dictionary of, one after the other in a buffer."""

    size_bytes: int
    """Of the dictionary."""
    lengths: tuple[int, ...]
    """Of the samples, in bytes."""


class CompressFileParams(msgspec.Struct, frozen=True, kw_only=True):
    """A file to compress into another, both below a root."""

    root: str
    path: str
    target: str
    codec: CodecName
    level: int | None
    overwrite: bool


class DecompressFileParams(msgspec.Struct, frozen=True, kw_only=True):
    """A file to decompress into another, both below a root."""

    root: str
    path: str
    target: str
    codec: CodecName
    limits: OutputLimits
    overwrite: bool


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much went in and came out."""

    input_bytes: Annotated[int, msgspec.Meta(ge=0)]
    output_bytes: Annotated[int, msgspec.Meta(ge=0)]


class CompressionService(MethodService):
    """Compresses and decompresses; keeps the last dictionaries ready between calls."""

    @method()
    def compress(self, params: CompressParams, task: Task) -> tuple[list[int], Sequence[Body]]:
        """Compress each item; the results are one after the other, too, and their lengths beside them."""
        dictionary = _dictionary(task)
        made = [
            compress(item, params.codec, params.level, dictionary=dictionary, task=task)
            for item in _items(params.lengths, task)
        ]
        return _put(made, task)

    @method()
    def decompress(self, params: DecompressParams, task: Task) -> tuple[list[int], Sequence[Body]]:
        """Decompress each item; the results are one after the other, too, and their lengths beside them."""
        dictionary = _dictionary(task)
        made: list[list[bytes]] = []
        left_bytes = params.limits.max_output_bytes
        for item in _items(params.lengths, task):
            limits = msgspec.structs.replace(params.limits, max_output_bytes=left_bytes)
            made.append(decompress(item, params.codec, limits, dictionary=dictionary, task=task))
            left_bytes -= sum(map(len, made[-1]))
        return _put(made, task)

    @method()
    def train(self, params: TrainParams, task: Task) -> tuple[list[int], Sequence[bytes]]:
        """Make a zstd dictionary of samples."""
        from workers.services.compression.zstd import trained  # noqa: PLC0415 - codecs are loaded when used

        made = trained(list(_items(params.lengths, task)), params.size_bytes)
        return [len(made)], [made]

    @method(idempotent=False)
    def compress_file(self, params: CompressFileParams, task: Task) -> Sizes:
        """Compress a file into another."""
        read, written = compress_file(
            params.root,
            params.path,
            params.target,
            codec=params.codec,
            level=params.level,
            overwrite=params.overwrite,
            task=task,
        )
        return Sizes(input_bytes=read, output_bytes=written)

    @method(idempotent=False)
    def decompress_file(self, params: DecompressFileParams, task: Task) -> Sizes:
        """Decompress a file into another."""
        read, written = decompress_file(
            params.root,
            params.path,
            params.target,
            codec=params.codec,
            limits=params.limits,
            overwrite=params.overwrite,
            task=task,
        )
        return Sizes(input_bytes=read, output_bytes=written)


def _items(lengths: Sequence[int], task: Task) -> Iterator[memoryview]:
    try:
        yield from parted(task.buffers[0], lengths)
    except (IndexError, ValueError) as error:
        raise InvalidParameters(f"the buffer does not hold the items: {error}") from error


def _dictionary(task: Task) -> bytes | None:
    return bytes(task.buffers[1]) if len(task.buffers) > 1 else None


def _put(made: Sequence[Sequence[bytes]], task: Task) -> tuple[list[int], Sequence[Body]]:
    """Return the lengths of what was made, and all of it as one buffer, which a caller in this process maps."""
    lengths = [sum(map(len, parts)) for parts in made]
    parts = [part for each in made for part in each]
    if sum(lengths) <= SLICE_BYTES:
        return lengths, [Body(parts)]
    out = task.allocate(sum(lengths))
    start = 0
    for part in parts:  # in pieces, between which others get the interpreter
        out.view[start : start + len(part)] = part
        start += len(part)
    return lengths, [out]

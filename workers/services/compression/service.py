"""The compression service: typed methods around this package's functions; it runs in any kind of worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from workers.body import Body
from workers.methods import MethodService, Task, method
from workers.services.compression.codecs import CodecName
from workers.services.compression.limits import Limits
from workers.services.compression.stored import compress_file, decompress_file
from workers.services.compression.whole import compress, decompress


class CompressParams(msgspec.Struct, frozen=True, kw_only=True):
    """Buffers to compress, each by itself; the dictionary, if there is one, is the last buffer."""

    codec: CodecName
    level: int | None = None
    has_dictionary: bool = False


class DecompressParams(msgspec.Struct, frozen=True, kw_only=True):
    """Buffers to decompress, each by itself; the dictionary, if there is one, is the last buffer."""

    codec: CodecName
    limits: Limits
    has_dictionary: bool = False


class TrainParams(msgspec.Struct, frozen=True, kw_only=True):
    """Samples to make a dictionary of: the buffers."""

    size_bytes: int


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
    limits: Limits
    overwrite: bool


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much went in and came out."""

    input_bytes: Annotated[int, msgspec.Meta(ge=0)]
    output_bytes: Annotated[int, msgspec.Meta(ge=0)]


class CompressionService(MethodService):
    """Compresses and decompresses; keeps the last dictionaries ready between calls."""

    @method()
    def compress(self, params: CompressParams, task: Task) -> tuple[Sizes, Sequence[Body]]:
        """Compress each buffer."""
        inputs, dictionary = _split_off(task.buffers, has_dictionary=params.has_dictionary)
        outputs = [
            Body(compress(each, params.codec, params.level, dictionary=dictionary, task=task))
            for each in inputs
        ]
        return _sizes(inputs, outputs), outputs

    @method()
    def decompress(self, params: DecompressParams, task: Task) -> tuple[Sizes, Sequence[Body]]:
        """Decompress each buffer; the limit of size is that of all together, the ratio that of each."""
        inputs, dictionary = _split_off(task.buffers, has_dictionary=params.has_dictionary)
        outputs: list[Body] = []
        left_bytes = params.limits.max_output_bytes
        for each in inputs:
            limits = msgspec.structs.replace(params.limits, max_output_bytes=left_bytes)
            outputs.append(Body(decompress(each, params.codec, limits, dictionary=dictionary, task=task)))
            left_bytes -= outputs[-1].length
        return _sizes(inputs, outputs), outputs

    @method()
    def train(self, params: TrainParams, task: Task) -> tuple[Sizes, Sequence[bytes]]:
        """Make a zstd dictionary of samples."""
        from workers.services.compression.zstd import trained  # noqa: PLC0415 - codecs are loaded when used

        made = trained(task.buffers, params.size_bytes)
        return Sizes(input_bytes=sum(map(len, task.buffers)), output_bytes=len(made)), [made]

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


def _split_off(
    buffers: Sequence[memoryview], *, has_dictionary: bool
) -> tuple[Sequence[memoryview], bytes | None]:
    return (buffers[:-1], bytes(buffers[-1])) if has_dictionary else (buffers, None)


def _sizes(inputs: Sequence[memoryview], outputs: Sequence[Body]) -> Sizes:
    return Sizes(input_bytes=sum(map(len, inputs)), output_bytes=sum(each.length for each in outputs))

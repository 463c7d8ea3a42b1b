"""The compression bridge: gzip, zlib, deflate, zstd and brotli, off the event loop and within limits.

Where it runs follows the effort (`compression_effort`). Best times of one call at a time in microseconds (2026-11-23, 2
busy cores), on the loop, in a thread, in a process: compressing with zstd 1 KiB 110, 186, 228; 16 KiB 191, 387, 361;
1 MiB 10,500, 10,100, 9,000; 16 MiB 186,000, 139,000, 159,000; decompressing to 1 MiB 2,000, 2,100, 2,700, to 16 MiB
45,000, 67,000, 89,000. So small work stays on the loop and the rest goes to a thread; a process never wins by more than
noise, and takes what nothing else can stop in time: the slowest levels.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from workers.body import SLICE_BYTES
from workers.bridges.base import Bridge
from workers.bridges.compression_effort import (
    ENDLESS,
    LOOP_BYTES,
    LOOP_OUTPUT_BYTES,
    compressing,
    decompressing,
)
from workers.bridges.compression_streams import compressed_stream, decompressed_stream
from workers.bridges.settings import Placement
from workers.errors import PoolClosed
from workers.services.batches import flat, grouped, joined, lengths_of, parted, picked
from workers.services.compression import service
from workers.services.compression.limits import OutputLimits
from workers.services.compression.whole import BLOCK_BYTES
from workers.services.files.roots import anchored

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, AsyncIterable, Sequence

    from workers.buffers import Bytes
    from workers.requests import OnProgress
    from workers.services.compression.codecs import CodecName
    from workers.services.compression.service import CompressParams, DecompressParams, Sizes

Octets = bytes | memoryview

DICTIONARY_BYTES = 16 * 1024


class CompressionBridge(Bridge):
    """Compresses and decompresses; had as `bridges.compression`.

    A level is one of the codec's own: 1 to 9 for gzip, zlib and deflate (6 by default), 1 to 19 for zstd (3), 0 to 11
    for brotli (5). Errors are those of `workers.services.compression.errors`.
    """

    name = "compression"
    service = "workers.services.compression.service:CompressionService"
    placements = MappingProxyType(
        {
            "compress": Placement(thread_from_bytes=LOOP_BYTES, process_from_bytes=ENDLESS),
            "decompress": Placement(thread_from_bytes=LOOP_OUTPUT_BYTES),
            "train": Placement(),
            "compress_file": Placement(process_from_bytes=ENDLESS),
            "decompress_file": Placement(),
        }
    )

    async def compress(
        self,
        data: Bytes,
        codec: CodecName = "zstd",
        *,
        level: int | None = None,
        dictionary: Bytes | None = None,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Octets:
        """Return `data` compressed; from 256 KiB on it is a `memoryview`, which costs the loop no copy.

        Raises:
            CodecRefused: There is no such level, or the codec takes no dictionary (only zstd does).
        """
        data = flat(data)
        params = service.CompressParams(codec=codec, level=level, lengths=(len(data),))
        return (await self._sent(params, [data], dictionary, timeout_s=timeout_s, on_progress=on_progress))[0]

    async def compress_many(
        self,
        items: Sequence[Bytes],
        codec: CodecName = "zstd",
        *,
        level: int | None = None,
        dictionary: Bytes | None = None,
        timeout_s: float | None = None,
    ) -> list[Octets]:
        """Return each item compressed by itself, with few hops for many; `timeout_s` is for each hop."""
        made: list[Octets] = []
        items = [flat(each) for each in items]
        for group in grouped(items):
            part = picked(items, group)
            params = service.CompressParams(codec=codec, level=level, lengths=lengths_of(part))
            made += await self._sent(params, part, dictionary, timeout_s=timeout_s)
        return made

    async def decompress(
        self,
        data: Bytes,
        codec: CodecName = "zstd",
        *,
        limits: OutputLimits | None = None,
        dictionary: Bytes | None = None,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Octets:
        """Return what `data` was made of, as far as `limits` allow; from 256 KiB on it is a `memoryview`.

        Raises:
            DataDamaged: It is no such stream, ends early, or something follows it.
            OutputTooLarge: More would come out than allowed.
        """
        data = flat(data)
        params = service.DecompressParams(codec=codec, limits=limits or OutputLimits(), lengths=(len(data),))
        return (await self._sent(params, [data], dictionary, timeout_s=timeout_s, on_progress=on_progress))[0]

    async def decompress_many(
        self,
        items: Sequence[Bytes],
        codec: CodecName = "zstd",
        *,
        limits: OutputLimits | None = None,
        dictionary: Bytes | None = None,
        timeout_s: float | None = None,
    ) -> list[Octets]:
        """Return what each item was made of; the limit of size is that of all together, and one bad item fails all."""
        left = limits or OutputLimits()
        made: list[Octets] = []
        items = [flat(each) for each in items]
        for group in grouped(items):
            part = picked(items, group)
            params = service.DecompressParams(codec=codec, limits=left, lengths=lengths_of(part))
            came = await self._sent(params, part, dictionary, timeout_s=timeout_s)
            left = msgspec.structs.replace(left, max_output_bytes=left.max_output_bytes - sum(map(len, came)))
            made += came
        return made

    async def train(
        self, samples: Sequence[Bytes], *, size_bytes: int = DICTIONARY_BYTES, timeout_s: float | None = None
    ) -> bytes:
        """Return a zstd dictionary for messages like `samples`; it pays for those of less than a few kilobytes.

        Raises:
            CodecRefused: The samples are too few or too small; take some hundred times the size of the dictionary.
        """
        samples = [flat(each) for each in samples]
        params = service.TrainParams(size_bytes=size_bytes, lengths=lengths_of(samples))
        with await self._answer(
            "train", params, list[int], buffers=[b"".join(samples)], timeout_s=timeout_s
        ) as answer:
            return await answer.buffers[0].read()

    async def compress_file(
        self,
        path: str,
        target: str,
        *,
        root: str | os.PathLike[str],
        codec: CodecName = "zstd",
        level: int | None = None,
        overwrite: bool = False,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Sizes:
        """Compress the file `path` into the file `target`, both below `root`, in little memory.

        The target is on disk, whole, when this returns; after an error it is as it was.

        Raises:
            FileExists: Something is at `target`, and `overwrite` is off.
            FileChanged: The file was written to meanwhile.
            CodecRefused, PathRefused, FileMissing, FileError: As their names say.
        """
        params = service.CompressFileParams(
            root=anchored(root),
            path=path,
            target=target,
            codec=codec,
            level=level,
            overwrite=overwrite,
        )
        return await self._request(
            "compress_file",
            params,
            service.Sizes,
            size_bytes=compressing(codec, level, BLOCK_BYTES),
            timeout_s=timeout_s,
            on_progress=on_progress,
            idempotent=overwrite,
        )

    async def decompress_file(
        self,
        path: str,
        target: str,
        *,
        root: str | os.PathLike[str],
        codec: CodecName = "zstd",
        limits: OutputLimits | None = None,
        overwrite: bool = False,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Sizes:
        """Decompress the file `path` into the file `target`; see `compress_file` and `decompress`."""
        params = service.DecompressFileParams(
            root=anchored(root),
            path=path,
            target=target,
            codec=codec,
            limits=limits or OutputLimits(),
            overwrite=overwrite,
        )
        return await self._request(
            "decompress_file",
            params,
            service.Sizes,
            timeout_s=timeout_s,
            on_progress=on_progress,
            idempotent=overwrite,
        )

    def compress_stream(
        self, source: AsyncIterable[Bytes], codec: CodecName = "zstd", *, level: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the compressed stream of what `source` yields, whatever its pieces; memory use is that of one.

        Raises:
            CodecRefused: There is no such level; raised by the first step.
        """
        self._check_open()
        return compressed_stream(source, codec, level)

    def decompress_stream(
        self, source: AsyncIterable[Bytes], codec: CodecName = "zstd", *, limits: OutputLimits | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield what the compressed stream `source` was made of, in pieces of at most about 256 KiB.

        Raises:
            DataDamaged, OutputTooLarge: As `decompress` does; what was yielded before is not the whole.
        """
        self._check_open()
        return decompressed_stream(source, codec, limits or OutputLimits())

    async def _sent(
        self,
        params: CompressParams | DecompressParams,
        items: Sequence[Bytes],
        dictionary: Bytes | None,
        *,
        timeout_s: float | None,
        on_progress: OnProgress | None = None,
    ) -> list[Octets]:
        """Send one group of items and return what each became; where it runs is decided by the effort."""
        buffers = [joined(items)] if dictionary is None else [joined(items), dictionary]
        if isinstance(params, service.CompressParams):
            method, effort = "compress", compressing(params.codec, params.level, sum(params.lengths))
        else:
            method, effort = "decompress", decompressing(params.limits, sum(params.lengths))
        with await self._answer(
            method,
            params,
            list[int],
            buffers=buffers,
            size_bytes=effort - sum(map(len, buffers)),
            timeout_s=timeout_s,
            on_progress=on_progress,
        ) as answer:
            return [_octets(each) for each in parted(answer.buffers[0].mapped(), answer.value)]

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise PoolClosed(f"the bridge {self.name} is closed")


def _octets(view: memoryview) -> Octets:
    return bytes(view) if len(view) < SLICE_BYTES else view

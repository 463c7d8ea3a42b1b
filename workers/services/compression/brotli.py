"""Brotli: what browsers take beside gzip, smaller than it, slow at its high levels (11 does about 1 MB/s)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import brotli

from workers.services.compression.errors import DataDamaged

if TYPE_CHECKING:
    from typing_extensions import Buffer

LEVELS = range(12)
DEFAULT_LEVEL = 5
TAKES_DICTIONARY = False


class _Packing:
    def __init__(self, level: int) -> None:
        self._stream = brotli.Compressor(quality=level)

    def push(self, data: Buffer) -> bytes:
        part: bytes = self._stream.process(data)
        return part

    def end(self) -> bytes:
        rest: bytes = self._stream.finish()
        return rest


class _Unpacking:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._is_drained = True
        self.is_whole = False

    @property
    def is_hungry(self) -> bool:
        accepts: bool = self._stream.can_accept_more_data()
        return self.is_whole or (accepts and self._is_drained)

    def push(self, data: Buffer, max_bytes: int) -> bytes:
        if self.is_whole:
            if not memoryview(data).nbytes:
                return b""
            raise DataDamaged("something follows the brotli stream", codec="brotli")
        try:
            out: bytes = self._stream.process(data, output_buffer_limit=max_bytes)
        except brotli.error as error:
            raise DataDamaged("this is no brotli stream, or a damaged one", codec="brotli") from error
        self._is_drained = len(out) < max_bytes
        self.is_whole = self._stream.is_finished()
        return out


def packing(_: str, level: int, *, size_bytes: int | None, dictionary: bytes | None) -> _Packing:  # noqa: ARG001 - the shape of a codec
    """See `Codec`."""
    return _Packing(level)


def unpacking(_: str, *, dictionary: bytes | None) -> _Unpacking:  # noqa: ARG001 - the shape of a codec
    """See `Codec`."""
    return _Unpacking()

"""gzip, zlib and bare deflate, by zlib-ng.

Packing 16 MB of chat as JSON, in CPU time (2026-11-23, 2 busy cores): zlib-ng at levels 1, 3, 6, 9 does 327, 161, 98 and 43
MB/s at ratios of 3.6, 5.0, 5.2 and 5.2; isal at its levels 1 to 3 525, 483 and 202 MB/s at 4.6 to 4.7; zlib took twice
zlib-ng's time at 6. Both unpack at 520 to 620 MB/s. isal is the quicker one at the low end, but has no high end, and
whoever is free to choose for speed takes zstd; so one library does for all levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from zlib_ng import zlib_ng

from workers.services.compression.frames import Frames

if TYPE_CHECKING:
    from typing_extensions import Buffer

LEVELS = range(1, 10)
DEFAULT_LEVEL = 6
TAKES_DICTIONARY = False

_DAMAGE = cast("type[Exception]", zlib_ng.error)  # its stubs take it for an instance
_WINDOW_BITS = {"gzip": 31, "zlib": 15, "deflate": -15}


class _Packing:
    def __init__(self, name: str, level: int) -> None:
        self._stream = zlib_ng.compressobj(level, zlib_ng.DEFLATED, _WINDOW_BITS[name])

    def push(self, data: Buffer) -> bytes:
        return self._stream.compress(data)

    def end(self) -> bytes:
        return self._stream.flush()


class _Frame:
    """A decompressor of zlib's shape, which leaves it to its caller to keep the unused input, as a `Frame`."""

    def __init__(self, window_bits: int) -> None:
        self._stream = zlib_ng.decompressobj(window_bits)
        self._is_drained = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._is_drained

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: Buffer, max_length: int) -> bytes:
        out = self._stream.decompress(data if self._is_drained else self._stream.unconsumed_tail, max_length)
        self._is_drained = len(out) < max_length and not self._stream.unconsumed_tail
        return out


def packing(name: str, level: int, *, size_bytes: int | None, dictionary: bytes | None) -> _Packing:  # noqa: ARG001 - the shape of a codec
    """See `Codec`."""
    return _Packing(name, level)


def unpacking(name: str, *, dictionary: bytes | None) -> Frames:  # noqa: ARG001 - the shape of a codec
    """See `Codec`; only gzip files may be joined."""
    return Frames(name, lambda: _Frame(_WINDOW_BITS[name]), (_DAMAGE,), is_repeated=name == "gzip")

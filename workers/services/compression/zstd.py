"""zstd: the codec to take where both ends are ours. `backports.zstd` is the standard library's own from 3.14 on.

A frame names the memory its decoder needs; over 128 MiB (the limit of the zstd command, too) it is refused. Levels
above 19 are left out: they take up to a gigabyte to compress.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from workers.services.compression.errors import CodecRefused
from workers.services.compression.frames import Frames

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

LEVELS = range(1, 20)
DEFAULT_LEVEL = 3
TAKES_DICTIONARY = True

MAX_WINDOW_LOG = 27
MIN_DICTIONARY_BYTES = 256
MIN_SAMPLES_COUNT = 8
MAX_DICTIONARY_BYTES = 1024 * 1024


class _Packing:
    def __init__(self, level: int, size_bytes: int | None, dictionary: bytes | None) -> None:
        loaded = None if dictionary is None else _dictionary(dictionary)
        self._stream = zstd.ZstdCompressor(
            options={
                zstd.CompressionParameter.compression_level: level,
                zstd.CompressionParameter.checksum_flag: 1,
            },
            zstd_dict=loaded,
        )
        self._stream.set_pledged_input_size(size_bytes)

    def push(self, data: Buffer) -> bytes:
        return self._stream.compress(data)

    def end(self) -> bytes:
        return self._stream.flush()


def packing(_: str, level: int, *, size_bytes: int | None, dictionary: bytes | None) -> _Packing:
    """See `Codec`."""
    return _Packing(level, size_bytes, dictionary)


def unpacking(name: str, *, dictionary: bytes | None) -> Frames:
    """See `Codec`."""
    loaded = None if dictionary is None else _dictionary(dictionary)
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
    return Frames(name, lambda: zstd.ZstdDecompressor(zstd_dict=loaded, options=options), (zstd.ZstdError,))


def trained(samples: Sequence[Buffer], size_bytes: int) -> bytes:
    """Return a dictionary of at most `size_bytes` for messages like `samples`.

    Take at least a hundred times its size in samples; it pays for messages of less than a few kilobytes each.

    Raises:
        CodecRefused: The samples are too few or too small, or the size is out of bounds.
    """
    if not MIN_DICTIONARY_BYTES <= size_bytes <= MAX_DICTIONARY_BYTES:
        raise CodecRefused(
            f"a dictionary has {MIN_DICTIONARY_BYTES} to {MAX_DICTIONARY_BYTES} bytes", codec="zstd"
        )
    if len(samples) < MIN_SAMPLES_COUNT:
        raise CodecRefused(f"a dictionary needs at least {MIN_SAMPLES_COUNT} samples", codec="zstd")
    try:
        return zstd.train_dict([bytes(each) for each in samples], size_bytes).dict_content
    except (zstd.ZstdError, ValueError) as error:
        raise CodecRefused("the samples are too few or too small for a dictionary", codec="zstd") from error


@lru_cache(maxsize=8)
def _dictionary(content: bytes) -> zstd.ZstdDict:
    """Return the dictionary ready for use: preparing it costs more than a small message that it is for."""
    try:
        return zstd.ZstdDict(content)
    except ValueError as error:
        raise CodecRefused("this is no zstd dictionary", codec="zstd") from error

"""The codecs by name. Each is a module that is loaded when first used, so a worker holds only those it needs.

lz4 did not earn a place: on 16 MB of chat as JSON, in CPU time (2026-11-23, 2 busy cores), it packs at 589 MB/s 3.4 to
1 and unpacks at 1,490; zstd at level 1 433, 4.9 to 1 and 978. What lz4 saves in time its larger output costs again on
anything slower than about 90 MB/s.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol

from workers.services.compression.errors import CodecRefused

if TYPE_CHECKING:
    from typing_extensions import Buffer

CodecName = Literal["gzip", "zlib", "deflate", "zstd", "brotli"]
"""`deflate` is the bare stream of RFC 1951, `zlib` that of RFC 1950 (which HTTP calls deflate)."""


class Packing(Protocol):
    """A stream being compressed."""

    def push(self, data: Buffer) -> bytes:
        """Take `data` and return what is ready."""

    def end(self) -> bytes:
        """Return the rest; the stream is whole then."""


class Unpacking(Protocol):
    """A stream being decompressed, a bounded piece at a time."""

    is_hungry: bool
    """Nothing more comes out before something goes in."""
    is_whole: bool
    """The stream may end here."""

    def push(self, data: Buffer, max_bytes: int) -> bytes:
        """Take `data` (b"" unless it is hungry) and return at most about `max_bytes`.

        Raises:
            DataDamaged: This is no such stream, or something follows it.
        """


class Codec(Protocol):
    """What a codec's module offers."""

    LEVELS: range
    DEFAULT_LEVEL: int
    TAKES_DICTIONARY: bool

    def packing(self, name: str, level: int, *, size_bytes: int | None, dictionary: bytes | None) -> Packing:
        """Start to compress; `size_bytes` is what will go in, where that is known."""

    def unpacking(self, name: str, *, dictionary: bytes | None) -> Unpacking:
        """Start to decompress."""


_MODULES = {
    "gzip": "deflate",
    "zlib": "deflate",
    "deflate": "deflate",
    "zstd": "zstd",
    "brotli": "brotli",
}


def packing(
    name: str, level: int | None = None, *, size_bytes: int | None = None, dictionary: bytes | None = None
) -> Packing:
    """Start to compress with the codec `name` at `level` (its default if None).

    Raises:
        CodecRefused: There is no such codec or level, or it takes no dictionary.
    """
    codec = _codec(name, dictionary)
    level = codec.DEFAULT_LEVEL if level is None else level
    if level not in codec.LEVELS:
        raise CodecRefused(
            f"{name} has the levels {codec.LEVELS.start} to {codec.LEVELS[-1]}, not {level}", codec=name
        )
    return codec.packing(name, level, size_bytes=size_bytes, dictionary=dictionary)


def unpacking(name: str, *, dictionary: bytes | None = None) -> Unpacking:
    """Start to decompress with the codec `name`.

    Raises:
        CodecRefused: There is no such codec, or it takes no dictionary.
    """
    return _codec(name, dictionary).unpacking(name, dictionary=dictionary)


def _codec(name: str, dictionary: bytes | None) -> Codec:
    if name not in _MODULES:
        raise CodecRefused(f"no codec is called {name!r}", codec=name)
    codec: Codec = import_module(f"workers.services.compression.{_MODULES[name]}")
    if dictionary is not None and not codec.TAKES_DICTIONARY:
        raise CodecRefused(f"{name} takes no dictionary", codec=name)
    return codec

"""Decompress what nobody vouches for: in small pieces, counted before they are handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.services.compression.codecs import unpacking
from workers.services.compression.errors import DataDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from workers.services.compression.limits import OutputLimits

PIECE_BYTES = 256 * 1024
"""About how much comes out at a time: less than a millisecond of work."""

_SLICE_BYTES = 64 * 1024
"""How much goes in at a time: codecs copy what they have not used yet."""


class Unpacker:
    """One stream being decompressed within its limits; memory use is that of a piece and the codec's window."""

    def __init__(
        self,
        codec: str,
        limits: OutputLimits,
        *,
        size_bytes: int | None = None,
        dictionary: bytes | None = None,
    ) -> None:
        """Start; where all of the input is known to have `size_bytes`, the ratio is that of the whole."""
        self._codec = codec
        self._limits = limits
        self._size_bytes = size_bytes
        self._stream = unpacking(codec, dictionary=dictionary)
        self.input_bytes = 0
        self.output_bytes = 0

    def feed(self, data: Buffer) -> Iterator[bytes]:
        """Yield, in pieces of about `PIECE_BYTES`, what `data` adds to the output; take them all.

        Raises:
            DataDamaged: This is no such stream.
            OutputTooLarge: A limit is passed; the stream is of no more use.
        """
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _SLICE_BYTES):
            piece = view[start : start + _SLICE_BYTES]
            self.input_bytes += len(piece)
            out = self._stream.push(piece, PIECE_BYTES)
            while True:
                if out:
                    self.output_bytes += len(out)
                    self._limits.check(
                        input_bytes=self.input_bytes if self._size_bytes is None else self._size_bytes,
                        output_bytes=self.output_bytes,
                    )
                    yield out
                if self._stream.is_hungry:
                    break
                out = self._stream.push(b"", PIECE_BYTES)

    def end(self) -> None:
        """See that the stream is whole.

        Raises:
            DataDamaged: It ends early.
        """
        if not self._stream.is_whole:
            raise DataDamaged(f"the {self._codec} stream ends early", codec=self._codec)

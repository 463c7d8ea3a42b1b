"""How much may come out of how little: what stands between a few bytes and all of the memory.

Deflate gives at most 1,032 bytes for one, zstd some 32,000 and brotli over 100,000; ordinary text and logs give 3
to 100. So the default ratio refuses nothing that people make, and whoever stores blank disk images raises it. The
ratio counts only once `free_bytes` came out, since a short blank file is no attack.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from workers.services.compression.errors import OutputTooLarge


class OutputLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one call or stream may give back; of nested layers each has its own."""

    max_output_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1024 * 1024 * 1024
    max_ratio: Annotated[float, msgspec.Meta(gt=0)] = 250.0
    """Output bytes for one input byte."""
    free_bytes: Annotated[int, msgspec.Meta(ge=0)] = 4 * 1024 * 1024
    """Output that the ratio does not count."""

    def check(self, *, input_bytes: int, output_bytes: int) -> None:
        """See that `output_bytes` may have come out of `input_bytes`.

        Raises:
            OutputTooLarge: It is too much.
        """
        if output_bytes > self.max_output_bytes:
            raise OutputTooLarge(
                f"more than {self.max_output_bytes} bytes come out",
                reason="size",
                limit=self.max_output_bytes,
            )
        if output_bytes > self.free_bytes and output_bytes > self.max_ratio * input_bytes:
            raise OutputTooLarge(
                f"more than {self.max_ratio:g} bytes come out for each that goes in",
                reason="ratio",
                limit=self.max_ratio,
            )

"""What can go wrong with compressed bytes.

CompressionError
├── DataDamaged        truncated, random, or followed by something else: one error for all codecs
├── OutputTooLarge     the output passed its limit in size or ratio; `details["reason"]` says which
└── CodecRefused       no such codec, level or dictionary
"""

from __future__ import annotations

from workers.errors import PortableError


class CompressionError(PortableError):
    """The root of what the compression service raises on purpose."""


class DataDamaged(CompressionError):
    """The bytes are not what the codec wrote; trying again changes nothing."""


class OutputTooLarge(CompressionError):
    """More would come out than the limits allow; what came out before is not the whole."""


class CodecRefused(CompressionError):
    """There is no such codec, level or dictionary; nothing was done."""

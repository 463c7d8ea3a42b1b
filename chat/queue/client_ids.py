"""Client ids: UUIDs of version 7, which sort by the time they were made and can't be guessed."""

from __future__ import annotations

import os

_CHANCE_BYTES = 10
_POOL_BYTES = 128 * _CHANCE_BYTES
_CHANCE_BITS = 74
_LOW_BITS = 62
_VERSION = 7 << 76
_VARIANT = 2 << 62


class ClientIds:
    """Makes ids; asking the system for chance once for many of them is ten times as quick as once for each."""

    def __init__(self) -> None:
        self._pool = b""
        self._used_bytes = 0

    def at(self, wall_ms: int) -> str:
        """Return a new id made at `wall_ms`."""
        start = self._used_bytes
        if start >= len(self._pool):
            self._pool, start = os.urandom(_POOL_BYTES), 0
        self._used_bytes = start + _CHANCE_BYTES
        return client_id(wall_ms, int.from_bytes(self._pool[start : self._used_bytes], "big"))


def client_id(wall_ms: int, chance: int) -> str:
    """Return the id of `wall_ms` and the lowest 74 bits of `chance`."""
    bits = chance & ((1 << _CHANCE_BITS) - 1)
    high, low = bits >> _LOW_BITS, bits & ((1 << _LOW_BITS) - 1)
    text = f"{(wall_ms & 0xFFFFFFFFFFFF) << 80 | _VERSION | high << 64 | _VARIANT | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

"""How much work compressing is, so that it runs where it belongs; pure.

Counted in bytes of zstd at level 3, which does 255 MB/s: 16 KiB of it take 60 us, about as long as the hop to a thread
and back. MB/s of the others on 1 MiB of chat as JSON, in CPU time (2026-11-23, 2 busy cores): zstd at levels 1, 6, 9, 12,
15, 19: 352, 57, 47, 26, 7, 1.2; gzip at 1, 3, 6, 9: 258, 146, 81, 38; brotli at 0, 2, 5, 7, 9, 11: 390, 125, 40, 20, 10, 0.4.

How much comes out of compressed bytes nobody knows before, so decompressing counts as much as the limits allow: on the
loop runs only what a small limit holds there. 64 KiB come out in some 90 us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.services.compression.limits import OutputLimits

LOOP_BYTES = 16 * 1024
"""Compressing less than this is shorter than a hop."""
LOOP_OUTPUT_BYTES = 64 * 1024
"""Decompressing to less than this is as well."""
ENDLESS = 1 << 62
"""What can't be stopped for longer than a thread is given: it runs in a process, which can be killed.

Between two looks at its deadline a task compresses up to 256 KiB, and at the slowest levels that takes 0.2 to 0.6 s.
"""

_DEFLATE = ((3, 2), (6, 3), (9, 7))
_SLOWNESS = {
    "gzip": _DEFLATE,
    "zlib": _DEFLATE,
    "deflate": _DEFLATE,
    "zstd": ((4, 1), (9, 6), (12, 20), (19, 120)),
    "brotli": ((2, 2), (7, 10), (11, 400)),
}
"""By codec: up to which level it takes how many times as long."""
_SLOW = 100
_STOPPABLE = 5 * 1024 * 1024  # 20 ms, which is what a thread is given to stop
_DEFAULTS = {"zstd": 3, "brotli": 5}


def compressing(codec: str, level: int | None, size_bytes: int) -> int:
    """Return the effort of compressing `size_bytes`; what there is not is refused at once, and counts little."""
    steps = _SLOWNESS.get(codec, ((0, 1),))
    chosen = _DEFAULTS.get(codec, 6) if level is None else level
    factor = next((factor for up_to, factor in steps if chosen <= up_to), steps[-1][1])
    effort = size_bytes * factor
    return ENDLESS if factor >= _SLOW and effort > _STOPPABLE else effort


def decompressing(limits: OutputLimits, size_bytes: int) -> int:
    """Return the most that may come out of `size_bytes`."""
    by_ratio = max(limits.free_bytes, int(limits.max_ratio * size_bytes))
    return max(size_bytes, min(limits.max_output_bytes, by_ratio))

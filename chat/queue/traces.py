"""Where an error came from, told without reading source files: that would block the event loop."""

from __future__ import annotations

import traceback

_MOST_FRAMES_COUNT = 20


def trace_of(error: BaseException) -> list[str]:
    """Return the innermost places that `error` passed, the last one first."""
    frames = traceback.walk_tb(error.__traceback__)
    places = [f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}" for frame, line in frames]
    return places[::-1][:_MOST_FRAMES_COUNT]

"""The open databases of one worker, a bounded number of them: an open one costs three files and 0.2 MB."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from storage.sqlite.connection import OnEventLoop

if TYPE_CHECKING:
    from collections.abc import Callable


class Closable(Protocol):
    """What a cache can hold."""

    def close(self) -> None:
        """Release it."""


C = TypeVar("C", bound=Closable)


class ConnectionCache(Generic[C]):
    """The open databases of one worker, at most `limit`; the one unused for longest goes first.

    It belongs to the thread that made it, which is where its connections were allowed to run.
    """

    def __init__(self, limit: int, opened: Callable[[str], C], *, look_every_s: float = 0.0) -> None:
        """Make an empty cache; a file in whose place there is another, or none, is opened anew.

        Looking costs a microsecond or two. Writers look each time, or a write to a file that was dropped by another
        worker would be acknowledged and lost; readers every `look_every_s`, so that what somebody put there by hand, or
        removed, is noticed at all.
        """
        self._limit = limit
        self._opened = opened
        self._open: OrderedDict[str, C] = OrderedDict()
        self._look_every_s = look_every_s
        self._files: dict[str, tuple[int, int]] = {}
        self._look_at: dict[str, float] = {}
        """When a file is to be looked at again (monotonic)."""
        self._owner = threading.get_ident()

    def __len__(self) -> int:
        return len(self._open)

    def items(self) -> list[tuple[str, C]]:
        """Return what is open, by its path."""
        return list(self._open.items())

    def get(self, path: str) -> C:
        """Return what `path` is open as, opening it if need be.

        Raises:
            OnEventLoop: The caller's thread is another than the one that made the cache.
        """
        if threading.get_ident() != self._owner:
            raise OnEventLoop("a connection may only run on the thread that opened it")
        held = self._open.get(path)
        if held is not None:
            if self._is_still_there(path):
                self._open.move_to_end(path)
                return held
            self.discard(path)
        while len(self._open) >= self._limit:
            self.discard(next(iter(self._open)))
        held = self._opened(path)
        self._open[path] = held
        self._files[path] = _file_id(path)
        self._look_at[path] = time.monotonic() + self._look_every_s
        return held

    def discard(self, path: str) -> None:
        """Close what `path` is open as, if it is."""
        held = self._open.pop(path, None)
        self._files.pop(path, None)
        self._look_at.pop(path, None)
        if held is not None:
            held.close()

    def _is_still_there(self, path: str) -> bool:
        """Return whether the file that is open is the one at `path`, as far as it is time to look."""
        if self._look_every_s:
            now = time.monotonic()
            if now < self._look_at[path]:
                return True
            self._look_at[path] = now + self._look_every_s
        return self._files[path] == _file_id(path)

    def close(self) -> None:
        """Close all."""
        for path in list(self._open):
            self.discard(path)


def _file_id(path: str) -> tuple[int, int]:
    """Return what no other file has while this one is open; zeros if there is none, or it can't be looked at."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path costs more than the question
    except OSError:  # whoever opens it is told why, and nobody else
        return 0, 0
    return found.st_dev, found.st_ino

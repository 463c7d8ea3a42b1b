"""How a task on an event loop hears that shared memory changed.

A futex can't be watched by an event loop, and a thread per waiting task costs more than the waiting. Linux tells
every watcher of a file that it was written to, knows nothing of ours when a watcher dies, and a memfd is a file: so
whoever changes a cell also writes one byte by `pwrite`, if anybody watches at all, and each event loop has one
inotify descriptor for all its ears (a user has 128). It needs a descriptor of the memfd that was opened by its name
under `/proc`; the one that `memfd_create` returns tells nobody (seen on Linux 6.18).
"""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import RunVar

from workers.completion import running_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.completion import Future, Loop
    from workers.shared.native import Inotify

POLL_S = 0.02
"""How often a task looks where inotify is not to be had."""

_EVENT = struct.Struct("iIII")
_READ_BYTES = 4096


class RungEar:
    """An ear that somebody rings on the loop's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._rang = False
        self._future: Future | None = None

    def ring(self) -> None:
        """Let `heard` return; on the loop's thread."""
        self._rang = True
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_result(None)

    async def heard(self, limit_s: float) -> None:
        """See `Ear`."""
        if not self._rang:
            self._future = self._loop.create_future()
            with anyio.move_on_after(limit_s):
                await self._future
        self._rang = False


class PollingEar:
    """An ear that looks every `POLL_S`."""

    async def heard(self, limit_s: float) -> None:
        """See `Ear`."""
        await anyio.sleep(min(limit_s, POLL_S))


class _Watches:
    """The ears of one event loop, behind one inotify descriptor that is there while an ear is."""

    def __init__(self, inotify: Inotify) -> None:
        self.loop = running_loop()
        self._inotify = inotify
        self._fd = inotify.open()
        self._ears: dict[int, list[RungEar]] = {}
        self.loop.add_reader(self._fd, self._on_writes)

    def __len__(self) -> int:
        return len(self._ears)

    def add(self, file_fd: int, ear: RungEar) -> int:
        watch = self._inotify.watch(self._fd, file_fd)  # the same file gives the same number
        self._ears.setdefault(watch, []).append(ear)
        return watch

    def remove(self, watch: int, ear: RungEar) -> None:
        ears = self._ears[watch]
        ears.remove(ear)
        if not ears:
            del self._ears[watch]
            self._inotify.forget(self._fd, watch)

    def close(self) -> None:
        self.loop.remove_reader(self._fd)
        os.close(self._fd)

    def _on_writes(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            watch, _, _, name_bytes = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size + name_bytes
            # events that were lost to a full queue are of no watch: everybody looks
            heard = (
                self._ears.get(watch, []) if watch >= 0 else [e for ears in self._ears.values() for e in ears]
            )
            for ear in heard:
                ear.ring()


_of_this_loop: RunVar[_Watches | None] = RunVar("workers_shared_watches", None)


@contextmanager
def ear_on(inotify: Inotify | None, file_fd: int) -> Iterator[RungEar | PollingEar]:
    """Let a task of the running loop hear each write to the file of `file_fd`; where that can't be, let it look."""
    if inotify is None:
        yield PollingEar()
        return
    ear: RungEar | None = None
    watches = _of_this_loop.get()
    try:
        if watches is None:
            watches = _Watches(inotify)
        ear = RungEar(watches.loop)
        watch = watches.add(file_fd, ear)
    except OSError:  # no instance or watch is left to this user, or there is no /proc
        if watches is not None and not len(watches):
            watches.close()
        yield PollingEar()
        return
    _of_this_loop.set(watches)
    try:
        yield ear
    finally:
        watches.remove(watch, ear)
        if not len(watches):
            _of_this_loop.set(None)
            watches.close()

"""The queue's two clocks, and how its loop waits.

Wall time (`wall_ms`, UTC since 1970) is what rows and events tell people; it may jump. Boot time (`boot_ms`) also runs
while the machine sleeps and never jumps, and all processes of a machine share it, so leases and due times are made of
it; it means nothing after a restart of the machine, which `boot_id` tells.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

import anyio

_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Wake:
    """A flag that one task waits for, and that any code of its loop may set."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the task that waits, or keep the next one from waiting."""
        self._event.set()

    def clear(self) -> None:
        """Make the next wait wait again; what was set before is to be looked at after this."""
        if self._event.is_set():
            self._event = anyio.Event()

    async def wait(self) -> None:
        """Return once it is set."""
        await self._event.wait()


class QueueClock(Protocol):
    """Where a queue has its time from."""

    @property
    def boot_id(self) -> str:
        """What tells one run of the machine from the next; empty where the machine doesn't say."""

    def wall_ms(self) -> int:
        """Return milliseconds UTC since 1970."""

    def boot_ms(self) -> int:
        """Return milliseconds that never go back while the machine runs."""

    async def wait(self, wake: Wake, until_ms: int | None) -> None:
        """Return once `wake` is set or the boot clock shows `until_ms`; it may also return before."""


class SystemQueueClock:
    """The machine's clocks."""

    def __init__(self, boot_id: str = "") -> None:
        self.boot_id = boot_id

    @classmethod
    def of_this_machine(cls) -> SystemQueueClock:
        """Return the clocks with the machine's boot id; reads a file."""
        try:
            return cls(_BOOT_ID_FILE.read_text(encoding="ascii").strip())
        except OSError:
            return cls()

    def wall_ms(self) -> int:
        """See `QueueClock`."""
        return time.time_ns() // 1_000_000

    def boot_ms(self) -> int:
        """See `QueueClock`."""
        return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000

    async def wait(self, wake: Wake, until_ms: int | None) -> None:
        """See `QueueClock`."""
        if until_ms is None:
            await wake.wait()
            return
        with anyio.move_on_after(max(0, until_ms - self.boot_ms()) / 1000):
            await wake.wait()

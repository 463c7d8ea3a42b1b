"""What this machine offers to shared state, and what is therefore in use."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from workers.shared.cells import Backing
from workers.shared.errors import SharedRefused
from workers.shared.native import native
from workers.shared.opening import new_cells

_TRIAL_KIND = 0


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What shared objects are made with; each way that is missing has another in its place."""

    backing: Backing
    """What holds them; see `workers.shared.cells`."""
    memory_reason: str
    """Why they are not in memory; empty if they are."""
    atomics: bool
    """`libatomic` is there; without it changes are made under a lock that the kernel takes from whoever dies."""
    threads_wake: Literal["futex", "poll"]
    """How a waiting thread hears of a change; `poll` looks every 20 ms."""
    tasks_wake: Literal["inotify", "poll"]
    """How a waiting task hears of a change, likewise."""


def capabilities() -> Capabilities:
    """Try out what there is; takes some tens of microseconds, and leaves nothing."""
    machine = native()
    memory_reason = ""
    backing: Backing = "owner"
    try:
        cells = new_cells(_TRIAL_KIND, [], "lock" if machine.atomics is None else "atomics")
    except SharedRefused as error:
        memory_reason = str(error)
    else:
        backing = cells.backing
        cells.close()
    return Capabilities(
        backing=backing,
        memory_reason=memory_reason,
        atomics=machine.atomics is not None,
        threads_wake="poll" if machine.futex is None else "futex",
        tasks_wake="inotify" if _has_inotify() else "poll",
    )


def _has_inotify() -> bool:
    inotify = native().inotify
    if inotify is None:
        return False
    try:
        os.close(inotify.open())
    except OSError:  # this user has no instance left
        return False
    return True

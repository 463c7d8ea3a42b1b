"""How much memory the process and its workers hold together, from Linux's `/proc`; elsewhere nothing is known.

PSS counts a page that several processes share once among them, so that the sum over the tree is true. Files without a
name that carry large results between processes (memfds) are in nobody's PSS and are counted beside.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_MAX_PROCESS_COUNT = 512
_BLOCK_BYTES = 512
_MEMFD = "/memfd:"


@dataclass(frozen=True, slots=True)
class TreeMemory:
    """What a tree of processes holds."""

    pss_bytes: int
    memfd_bytes: int
    process_count: int


def tree_memory(pid: int) -> TreeMemory | None:
    """Return what `pid` and its descendants hold; None where it can't be known.

    Reads some ten files a process, in some milliseconds each: not for the event loop.
    """
    if not (_PROC / str(pid) / "smaps_rollup").exists():
        return None
    pss_bytes = 0
    memfds: dict[tuple[int, int], int] = {}
    processes = _tree(pid)
    for each in processes:
        pss_bytes += _pss_bytes(each)
        memfds.update(_memfds(each))
    return TreeMemory(pss_bytes, sum(memfds.values()), len(processes))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:  # grows while it is walked
        if len(found) >= _MAX_PROCESS_COUNT:
            break
        found += _children(each)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            children += map(int, (task / "children").read_text().split())
    except OSError:
        return children  # it ended meanwhile
    return children


def _pss_bytes(pid: int) -> int:
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


def _memfds(pid: int) -> dict[tuple[int, int], int]:
    """Return the sizes of a process's memfds by their identity: several processes may hold the same."""
    sizes: dict[tuple[int, int], int] = {}
    try:
        with os.scandir(_PROC / str(pid) / "fd") as entries:
            for entry in entries:
                sizes.update(_memfd(entry))
    except OSError:
        return sizes  # the process ended meanwhile
    return sizes


def _memfd(entry: os.DirEntry[str]) -> dict[tuple[int, int], int]:
    try:
        if not os.readlink(entry.path).startswith(_MEMFD):  # noqa: PTH115 - the target is no path
            return {}
        status = entry.stat()
    except OSError:
        return {}  # the file was closed meanwhile; the others still count
    return {(status.st_dev, status.st_ino): status.st_blocks * _BLOCK_BYTES}

"""Memory of a tree of processes as the machine sees it: each page counted once, results in memfds with it.

PSS shares a page among those that map it, so workers started from one program are not counted twice. A memfd that nobody
has mapped is in no process's PSS, yet holds memory: it is found among the open files and counted once by its inode.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

_KIB = 1024


@dataclass(frozen=True, kw_only=True)
class TreeMemory:
    """What a tree of processes holds, in bytes."""

    pss_bytes: int
    memfd_bytes: int

    @property
    def total_bytes(self) -> int:
        """Both together."""
        return self.pss_bytes + self.memfd_bytes


def tree_memory(pid: int) -> TreeMemory:
    """Return what the process and all its descendants hold now; one that ends meanwhile counts as nothing."""
    try:
        root = psutil.Process(pid)
        members = [pid, *(child.pid for child in root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return TreeMemory(pss_bytes=0, memfd_bytes=0)
    memfds: dict[int, int] = {}
    pss_bytes = 0
    for member in members:
        try:
            pss_bytes += _pss_bytes(member)
            memfds |= _memfds(member)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return TreeMemory(pss_bytes=pss_bytes, memfd_bytes=sum(memfds.values()))


def _pss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * _KIB
    return 0


def _memfds(pid: int) -> dict[int, int]:
    found: dict[int, int] = {}
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            try:
                if str(Path(entry.path).readlink()).startswith("/memfd:"):
                    status = entry.stat()
                    found[status.st_ino] = status.st_blocks * 512
            except FileNotFoundError:  # closed between the listing and the look
                continue
    return found

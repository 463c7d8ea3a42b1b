"""What the figures were measured on: without these facts no figure can be compared."""

from __future__ import annotations

import os
import platform
import sqlite3  # for its version alone: no file is opened with it in this process
import statistics
import time
from pathlib import Path

import apsw

_SYNC_COUNT = 100
_SYNC_BYTES = b"\0" * 4096


def facts(folder: Path, *, load_generator: str) -> dict[str, str]:
    """Return the machine's facts in the order a reader asks for them; `folder` is where the data lies."""
    one, five, _ = os.getloadavg()
    return {
        "cpu": f"{_cpu_model()}, {os.cpu_count()} cores, load {one:.1f} (5 min: {five:.1f}) at start",
        "python": f"{platform.python_version()} on {platform.system()} {platform.release()}",
        "sqlite": f"apsw {apsw.sqlite_lib_version()} (ours, apsw.aio), stdlib {sqlite3.sqlite_version} (aiosqlite, Datasette)",
        "disk": f"{_file_system(folder)}, fdatasync of 4 KiB: median {fdatasync_us(folder):,.0f} us",
        "load": load_generator,
    }


def fdatasync_us(folder: Path) -> float:
    """Return the median time of one appended and synced page, in microseconds."""
    path = folder / "fdatasync.probe"
    times: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(_SYNC_COUNT):
            os.write(descriptor, _SYNC_BYTES)
            begun = time.perf_counter()
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times) * 1e6


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "unknown file system"
    best, kind = "", "unknown file system"
    for line in mounts.read_text(encoding="utf-8").splitlines():
        _, point, this_kind, *_ = line.split(" ")
        if len(point) > len(best) and folder.resolve().is_relative_to(point):
            best, kind = point, this_kind
    return kind

"""Facts about the machine and the data folder; reads, and writes only a small file that it removes."""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dataserver.doctor.diagnosis import FolderFacts
from dataserver.folder import DataFolder, FolderInUse, hold

LIBRARIES = (
    "apsw",
    "anyio",
    "msgspec",
    "starlette",
    "uvicorn",
    "uvloop",
    "h2corn",
    "cryptography",
    "structlog",
)
_MOUNTS = Path("/proc/self/mountinfo")
_SYNC_COUNT = 5
_SYNC_BYTES = 4_096


def versions() -> dict[str, str]:
    """Return the versions of what the server is made of; what is not installed is missing."""
    found = {}
    for name in ("dataserver", *LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def folder_facts(folder: DataFolder) -> FolderFacts:
    """Look at the data folder, or at the nearest folder above it that exists."""
    exists = folder.root.is_dir()
    nearest = next(path for path in (folder.root, *folder.root.parents) if path.is_dir())
    writable = os.access(nearest, os.W_OK | os.X_OK)
    disk = os.statvfs(nearest)
    return FolderFacts(
        path=str(folder.root),
        exists=exists,
        is_writable=writable,
        is_private=not exists or not folder.root.stat().st_mode & 0o077,
        file_system=file_system_of(
            nearest.resolve(), _MOUNTS.read_text().splitlines() if _MOUNTS.exists() else ()
        ),
        free_bytes=disk.f_bavail * disk.f_frsize,
        sync_ms=_sync_ms(nearest) if writable else None,
        used_by=_user_of(folder) if exists and writable else "",
    )


def file_system_of(path: Path, mounts: Iterable[str]) -> str:
    """Return the type of the file system that `path` lies on; `mounts` are the lines of Linux's mountinfo."""
    best, found = -1, ""
    for line in mounts:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape")  # blanks are written as \040
        if (path == Path(point) or Path(point) in path.parents) and len(point) >= best:
            best, found = len(point), after.split(" ")[0]
    return found


def open_file_limit() -> int:
    """Return how many files this process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return hard if soft == resource.RLIM_INFINITY else soft


def _sync_ms(folder: Path) -> float:
    times = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        for _ in range(_SYNC_COUNT):
            started = time.perf_counter()
            file.write(b"x" * _SYNC_BYTES)
            file.flush()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _user_of(folder: DataFolder) -> str:
    if not folder.lock.exists():
        return ""
    try:
        with hold(folder, command="doctor"):
            return ""
    except FolderInUse as taken:
        owner = taken.owner
        return (
            "another process"
            if owner is None
            else f"`dataserver {owner.command}`, pid {owner.pid} {owner.url}".strip()
        )

"""From facts to findings; pure, so that every judgement has a test without a broken machine.

`must` means that the server would not start, would lose data or would not do what it is set to do: exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from storage import LibraryFacts

Verdict = Literal["ok", "advice", "must"]

_MIB = 1 << 20
_LEAST_FREE_BYTES = 100 * _MIB
_WISE_FREE_BYTES = 1_024 * _MIB
_LEAST_FILE_COUNT = 256
_WISE_FILE_COUNT = 4_096
_SLOW_SYNC_MS = 50.0
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "vboxsf", "webdav"}
)
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    found: str
    verdict: Verdict = "ok"
    change: str = ""
    """What to do about it; empty if all is well."""


@dataclass(frozen=True, kw_only=True)
class FolderFacts:
    """The data folder and what it lies on."""

    path: str
    exists: bool
    is_writable: bool
    is_private: bool
    """Nobody but its user may look inside."""
    file_system: str
    free_bytes: int
    sync_ms: float | None
    """The median of a few small writes with `fsync`; None if it could not be tried."""
    used_by: str = ""
    """The server that owns it now, in words."""


@dataclass(frozen=True, kw_only=True)
class PoolTrial:
    """How one kind of pool did on a small database."""

    kind: Literal["process", "thread", "inline"]
    is_chosen: bool
    failure: str = ""
    ran_as: str = ""
    """The kind that it fell back to, if another."""
    open_ms: float = 0.0
    read_ms: float = 0.0
    write_ms: float = 0.0


def judge_library(facts: LibraryFacts) -> Iterator[Finding]:
    """Judge the SQLite library."""
    yield Finding(
        topic="SQLite",
        found=f"{facts.version} (apsw {facts.apsw_version})",
        verdict="ok" if facts.is_supported else "must",
        change="" if facts.is_supported else f"install an apsw with SQLite {facts.oldest_supported} or newer",
    )
    missing = ", ".join(facts.missing_options)
    yield Finding(
        topic="SQLite compile options",
        found=f"{len(facts.compile_options)} options" + (f"; without {missing}" if missing else ""),
        verdict="must" if missing else "ok",
        change=f"install an apsw built with {missing}" if missing else "",
    )


def judge_folder(facts: FolderFacts) -> Iterator[Finding]:
    """Judge the data folder and its disk."""
    state = f"in use by {facts.used_by}" if facts.used_by else "free" if facts.exists else "not made yet"
    writable = facts.is_writable
    yield Finding(
        topic="data folder",
        found=f"{facts.path}: {state}",
        verdict="ok" if writable and facts.is_private else "advice" if writable else "must",
        change=""
        if writable and facts.is_private
        else f"chmod 700 {facts.path}: others can look into it"
        if writable
        else "let this user write there, or choose another with --data-dir",
    )
    yield _judge_file_system(facts.file_system)
    yield Finding(
        topic="free space",
        found=f"{facts.free_bytes / _MIB:,.0f} MiB",
        verdict="must"
        if facts.free_bytes < _LEAST_FREE_BYTES
        else "advice"
        if facts.free_bytes < _WISE_FREE_BYTES
        else "ok",
        change="" if facts.free_bytes >= _WISE_FREE_BYTES else "make room: writes fail when the disk is full",
    )
    if facts.sync_ms is not None:
        slow = facts.sync_ms > _SLOW_SYNC_MS
        yield Finding(
            topic="time of a synced write",
            found=f"{facts.sync_ms:.2f} ms",
            verdict="advice" if slow else "ok",
            change="a quicker disk: every commit waits that long, all of a moment together" if slow else "",
        )


def _judge_file_system(name: str) -> Finding:
    verdict: Verdict = "ok"
    change = ""
    if name in _NETWORK or name.startswith("fuse"):
        verdict, change = "must", "a local disk: SQLite's WAL and locks are not safe on a network file system"
    elif name in _IN_MEMORY:
        verdict, change = "advice", "a disk: this one is memory, and gone at the next start of the machine"
    elif name in {"overlay", "aufs"}:
        verdict, change = "advice", "a volume: this is the container's own layer, and goes with it"
    return Finding(topic="file system", found=name or "unknown", verdict=verdict, change=change)


def judge_limits(*, core_count: int, worker_count: int, open_files: int) -> Iterator[Finding]:
    """Judge what the system lets this user have."""
    crowded = worker_count > 2 * max(2, core_count)
    yield Finding(
        topic="cores",
        found=f"{core_count}, and {worker_count} readers",
        verdict="advice" if crowded else "ok",
        change="SQLITE_WORKER_COUNT near the number of cores: more only wait for each other"
        if crowded
        else "",
    )
    yield Finding(
        topic="open files",
        found=f"{open_files:,} allowed",
        verdict="must"
        if open_files < _LEAST_FILE_COUNT
        else "advice"
        if open_files < _WISE_FILE_COUNT
        else "ok",
        change=""
        if open_files >= _WISE_FILE_COUNT
        else f"ulimit -n {_WISE_FILE_COUNT}: each connection is one",
    )


def judge_pools(trials: Sequence[PoolTrial], *, use_workers: bool) -> Iterator[Finding]:
    """Judge how each kind of pool did; only the chosen one must work."""
    for trial in trials:
        topic = f"pool: {trial.kind}" + (" (chosen)" if trial.is_chosen else "")
        if trial.failure or trial.ran_as:
            yield Finding(
                topic=topic,
                found=trial.failure or f"does not run here; fell back to {trial.ran_as}",
                verdict="must" if trial.is_chosen else "advice",
                change="choose a kind that works with SQLITE_WORKER_KIND" if trial.is_chosen else "",
            )
        else:
            yield Finding(
                topic=topic,
                found=f"open {trial.open_ms:.0f} ms, point read {trial.read_ms:.2f} ms, write {trial.write_ms:.2f} ms",
            )
    if not use_workers:
        yield Finding(
            topic="workers",
            found="off (USE_SQLITE_WORKERS=0)",
            verdict="advice",
            change="switch them on: without them one scan stops every request",
        )


def must_change(findings: Iterable[Finding]) -> bool:
    """Tell whether anything must change before the server is run."""
    return any(finding.verdict == "must" for finding in findings)

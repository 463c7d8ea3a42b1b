"""A process that is killed takes its workers with it, whatever they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import anyio
from workers import PoolSettings, open_pool

async def main():
    settings = PoolSettings(kind="process", worker_count=2, spare_count=1)
    async with open_pool("tests.support.services:BenchService", {{}}, settings, name="orphans") as pool:
        async with anyio.create_task_group() as group:
            while pool.statistics().spares_count < 1:
                await anyio.sleep(0.01)
            for _ in range(2):
                group.start_soon(pool.call, "{method}", 60.0)
            while pool.statistics().in_flight_count < {count}:
                await anyio.sleep(0.01)
            await pool.ping()
            print("ready", flush=True)

anyio.run(main)
"""
LIMIT_S = 1.0


def group_members(pid: int) -> set[int]:
    """Return the processes whose parent is `pid`."""
    members = set()
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdigit()
                and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid
            ):
                members.add(int(entry.name))
        except OSError:
            continue
    return members


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("method", ["echo", "wait", "deaf"])
def test_no_worker_outlives_a_parent_that_is_killed(method: str) -> None:
    """Idle, waiting and deaf workers and a spare: all hear the end of their sockets."""
    code = PARENT.format(method=method, count=0 if method == "echo" else 2)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    try:
        assert parent.stdout is not None
        assert any("ready" in line for line in parent.stdout)  # ends at the first that has it
        workers = group_members(parent.pid)
        assert len(workers) == 3
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.communicate()
    ends_at = time.monotonic() + LIMIT_S
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < ends_at, "a worker outlived its parent"

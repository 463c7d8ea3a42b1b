"""One candidate in a process of its own: takes a workload as a line of JSON, answers with a line of JSON.

Started as `python -m tests.benchmarks.subjects NAME FILE`; ends at the end of its input.
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from typing import IO, Any

import msgspec
import uvloop

from tests.benchmarks.subjects.growth import GROWTH_WORKLOADS
from tests.benchmarks.subjects.live import LIVE_WORKLOADS
from tests.benchmarks.subjects.neighbours import NEIGHBOUR_WORKLOADS
from tests.benchmarks.subjects.queue_workloads import QUEUE_WORKLOADS
from tests.benchmarks.subjects.worker_workloads import WORKER_WORKLOADS
from tests.benchmarks.subjects.workloads import WORKLOADS

_CANDIDATES = {  # imported by name: a candidate's process holds its own SQLite library and nothing of the others
    "aiosqlite": "aiosqlite_peer:AiosqliteByCursor",
    "aiosqlite-fetchall": "aiosqlite_peer:AiosqliteByHelper",
    "apsw.aio": "apsw_peers:ApswAio",
    "apsw-on-loop": "apsw_peers:ApswOnLoop",
    "growth": "growth:Grown",
    "huey": "queue_peers:HueyPeer",
    "litequeue": "queue_peers:LiteQueuePeer",
    "live": "live:Live",
    "neighbours": "neighbours:Neighbours",
    "ours": "ours:Ours",
    "persist": "queue_peers:PersistQueuePeer",
    "pool-aiomultiprocess": "worker_pools:AioPeer",
    "pool-anyio": "worker_pools:AnyioPeer",
    "pool-executor": "worker_pools:ExecutorPeer",
    "queue": "queue_ours:OurQueue",
    "workers": "worker_pools:OurWorkers",
}


async def _answer(name: str, path: str, answers: IO[bytes]) -> None:
    base, _, options = name.partition(":")
    module, _, attribute = _CANDIDATES[base].partition(":")
    make = getattr(import_module(f"tests.benchmarks.subjects.{module}"), attribute)
    candidate: Any = make(options) if options else make()
    await candidate.open(path)
    loop = asyncio.get_running_loop()
    workloads = (
        WORKLOADS
        | GROWTH_WORKLOADS
        | LIVE_WORKLOADS
        | NEIGHBOUR_WORKLOADS
        | QUEUE_WORKLOADS
        | WORKER_WORKLOADS
    )
    _say(answers, {"ready": name})
    try:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            order = msgspec.json.decode(line)
            _say(answers, await workloads[order.pop("workload")](candidate, **order))
    finally:
        await candidate.close()


def _say(answers: IO[bytes], what: dict[str, Any]) -> None:
    answers.write(msgspec.json.encode(what) + b"\n")
    answers.flush()


def _main(name: str, path: str) -> None:
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a candidate logs is no answer
        uvloop.run(_answer(name, path, answers))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])

"""One candidate in a process of its own: takes a workload as a line of JSON, answers with a line of JSON.

Started as `python -m tests.benchmarks.subjects NAME FILE`; ends at the end of its input.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

import msgspec
import uvloop

from tests.benchmarks.subjects.workloads import WORKLOADS

_CANDIDATES = {  # imported by name: a candidate's process holds its own SQLite library and nothing of the others
    "aiosqlite": "aiosqlite_peer:AiosqliteByCursor",
    "aiosqlite-fetchall": "aiosqlite_peer:AiosqliteByHelper",
    "apsw.aio": "apsw_peers:ApswAio",
    "apsw-on-loop": "apsw_peers:ApswOnLoop",
    "ours": "ours:Ours",
}


async def _answer(name: str, path: str) -> None:
    base, _, options = name.partition(":")
    module, _, attribute = _CANDIDATES[base].partition(":")
    make = getattr(import_module(f"tests.benchmarks.subjects.{module}"), attribute)
    candidate: Any = make(options) if options else make()
    await candidate.open(path)
    loop = asyncio.get_running_loop()
    _say({"ready": name})
    try:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            order = msgspec.json.decode(line)
            _say(await WORKLOADS[order.pop("workload")](candidate, **order))
    finally:
        await candidate.close()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(_answer(sys.argv[1], sys.argv[2]))

"""A chat log that was made up, and its way into a chat, as the command line takes it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from chat import open_chat
from dataserver.commands import Command, Done, Reply
from dataserver.imports.log_storing import LogOrder, import_log
from dataserver.imports.order import Watch
from dataserver.log_commands import OpenLog, StoreLog, log_command_done
from storage import StorageSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from chat import Chat

_ROOMS_COUNT = 5
_WORDS = [
    "which",
    "of",
    "the",
    "machines",
    "holds",
    "what",
    "was",
    "sent",
    "before",
    "it",
    "went",
    "down",
    "and",
    "who",
    "can",
    "tell",
    "me",
    "how",
    "to",
    "find",
    "that",
    "out",
]
_EPOCH_S = 1_200_000_000


def made_log(path: Path, line_count: int) -> None:
    """Write a log whose lines are of ordinary length, a quarter of them answers, from an author for each dozen."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(line_count):
            count = 3 + number * 7919 % 14
            start = number * 104_729 % len(_WORDS)
            line = {
                "id": number,
                "room": f"#room{number * 31 % _ROOMS_COUNT}",
                "author": f"author{number * 7919 % max(1, line_count // 12)}",
                "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_EPOCH_S + 20 * number)),
                "text": " ".join([*(_WORDS * 2)[start : start + count], f"word{number % 5000}"]),
                "reply_to": number - _ROOMS_COUNT if number % 4 == 0 and number >= _ROOMS_COUNT else None,
            }
            file.write(f"{json.dumps(line)}\n")


def by_import(log: Path, path: Path) -> dict[str, float]:
    """Bring the log in, and return how many lines a second."""
    return asyncio.run(_imported(log, path))


async def _imported(log: Path, path: Path) -> dict[str, float]:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    async with open_chat(path, StorageSettings(kind="thread", worker_count=1)) as chat:
        order = LogOrder(path=log, source="log", space="Log")
        begun, begun_cpu = time.perf_counter(), time.process_time()
        outcome = await import_log(_Door(chat), order, Watch())
        took_s, took_cpu_s = time.perf_counter() - begun, time.process_time() - begun_cpu
    return {
        "per_s": outcome.stored_count / took_s,
        "cpu_us": took_cpu_s / outcome.stored_count * 1e6,
    }


class _Door:
    """The chat itself."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def perform(self, command: Command) -> AsyncGenerator[Reply]:
        assert isinstance(command, OpenLog | StoreLog)
        yield Done(await log_command_done(command, self._chat))

"""A process that sends messages and delivers them until it is killed; `test_chat_kill` starts it.

What it stored it prints; what it delivers it writes as one line into a ledger, which is the server.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from chat.queue.action_queue import open_queue
from chat.queue.payloads import SendMessage
from chat.queue.settings import QueueSettings

if TYPE_CHECKING:
    from chat.queue.action_queue import ActionQueue
    from chat.queue.handlers import Delivery

ROOMS_COUNT = 5


class Ledger:
    """The server: it does each action once, whatever comes twice."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
        self._known = {line.split()[0] for line in Path(path).read_text(encoding="ascii").splitlines()}

    async def deliver(self, delivery: Delivery) -> Any:
        if delivery.client_id not in self._known:
            self._known.add(delivery.client_id)
            line = f"{delivery.client_id} {delivery.payload.room_id} {delivery.payload.content}\n"
            os.write(self._file, line.encode())
        return {}

    async def ask(self, delivery: Delivery) -> Any:
        return {} if delivery.client_id in self._known else None


async def send(queue: ActionQueue, run: str, count: int) -> None:
    for number in range(count):
        room = f"room-{number % ROOMS_COUNT}"
        receipt = await queue.enqueue(SendMessage(room_id=room, content=f"{run}:{number}"))
        sys.stdout.write(f"{receipt.client_id} {room} {run}:{number}\n")
        sys.stdout.flush()


async def live(path: str, ledger: Ledger, run: str, count: int) -> None:
    settings = QueueSettings(max_waiting_count=100_000, lease_s=1.0, tick_s=0.1)
    async with open_queue(path, settings) as queue:
        queue.handle_all(ledger)
        await send(queue, run, count)
        last = [
            await queue.enqueue(SendMessage(room_id=f"room-{n}", content=f"{run}:last"))
            for n in range(ROOMS_COUNT)
        ]
        for receipt in last:
            await receipt.sent()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    _, queue_path, ledger_path, its_run, its_count = sys.argv
    anyio.run(live, queue_path, Ledger(ledger_path), its_run, int(its_count))

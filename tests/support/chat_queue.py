"""A queue in a temporary file with a scripted server behind it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from chat.queue.action_queue import ActionQueue, open_queue
from chat.queue.payloads import SendMessage
from chat.queue.settings import QueueSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chat.queue.handlers import Delivery


def message(content: str, room: str = "a") -> SendMessage:
    return SendMessage(room_id=room, content=content)


class Server:
    """Answers every action, and remembers in what order they came."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def deliver(self, delivery: Delivery) -> Any:
        self.seen.append(delivery.payload.content)
        return {"seq": len(self.seen)}

    async def ask(self, _delivery: Delivery) -> Any:
        return None


@asynccontextmanager
async def opened(folder: Path, server: Server | None = None, **numbers: Any) -> AsyncIterator[ActionQueue]:
    async with open_queue(folder / "queue.db", QueueSettings(**numbers)) as queue:
        if server is not None:
            queue.handle_all(server)
        yield queue

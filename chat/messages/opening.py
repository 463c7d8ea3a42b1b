"""Opens a program's message queue as its settings say."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio.to_thread
import structlog

from chat.messages.direct import DirectMessages
from chat.messages.durable import DurableMessages
from chat.messages.memory import MemoryMessages
from chat.queue.action_queue import ActionQueue, open_queue
from chat.queue.clock import SystemQueueClock
from chat.settings import ChatSettings

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable

    from chat.messages.face import ChatMessageQueue
    from chat.queue.actions import ActionTypes
    from chat.queue.clock import QueueClock
    from chat.queue.handlers import Transport
    from chat.queue.sealing import Seal

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


@asynccontextmanager
async def open_messages(
    transport: Transport,
    where: ActionQueue | str | os.PathLike[str] | None = None,
    settings: ChatSettings | None = None,
    *,
    account: str = "",
    types: ActionTypes | None = None,
    seal: Seal | None = None,
    clock: QueueClock | None = None,
    chance: Callable[[], float] = random.random,
) -> AsyncIterator[ChatMessageQueue]:
    """Open the messages of `account`, which `transport` sends.

    `where` they wait is an open action queue (whose handlers are its owner's) or the path of a queue's file; kept in
    memory or sent directly they wait in neither. `types` replace the built-in ones, as where a failed message is to hold
    up its room (`stuck="block"`); an open queue has its own. With `use_queue` off, what an earlier run left in a file stays there
    until it is on again.

    Raises:
        ValueError: A durable store was asked for and `where` is not given.
        StorageError: The file can't be opened.
    """
    settings = settings or ChatSettings()
    if settings.use_queue and settings.store == "durable":
        if where is None:
            raise ValueError("a durable store needs an action queue or the path of its file")
        if isinstance(where, ActionQueue):
            yield DurableMessages(where, account=account)
            return
        async with open_queue(
            where, settings.queue, types=types, seal=seal, clock=clock, chance=chance
        ) as queue:
            queue.handle_all(transport)
            yield DurableMessages(queue, account=account)
        return
    if clock is None:
        clock = await anyio.to_thread.run_sync(SystemQueueClock.of_this_machine)
    messages: MemoryMessages | DirectMessages
    if settings.use_queue:
        messages = MemoryMessages(
            transport, clock=clock, settings=settings.queue, account=account, types=types, chance=chance
        )
    else:
        _log.warning("chat.queue_is_off", reason="use_queue is off: messages are sent directly, one try each")
        messages = DirectMessages(transport, clock=clock, settings=settings.queue, account=account)
    async with messages.running():
        yield messages

"""A message queue of any store with a scripted server behind it, and time moved by hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import anyio

from chat import (
    ActionTypes,
    ChatMessageQueue,
    ChatSettings,
    MessageEvent,
    QueueSettings,
    SendMessage,
    open_messages,
)
from chat.testing import ManualClock, ScriptedServer
from tests.support.waiting import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Store = Literal["durable", "memory", "direct"]


@dataclass
class MessageBench:
    """An open message queue and what is around it."""

    messages: ChatMessageQueue
    server: ScriptedServer
    clock: ManualClock

    def contents(self) -> list[Any]:
        """Return the contents of the messages that the server has, in its order."""
        return [each.payload.content for each in self.server.effects if isinstance(each.payload, SendMessage)]

    def called(self) -> list[Any]:
        """Return the contents of the messages that it was called with."""
        return [each.payload.content for each in self.server.calls if isinstance(each.payload, SendMessage)]

    async def until(self, name: str, times: int = 1) -> list[MessageEvent]:
        """Return the events up to the one with which `name` has happened so often."""
        told: list[MessageEvent] = []
        async for event in self.messages.follow_events():
            told.append(event)
            times -= event.name == name
            if times == 0:
                break
        return told

    async def names(self, client_id: str) -> list[str]:
        """Return what was told of a message until now."""
        newest = await self.messages.newest_event()
        followed = self.messages.follow_events()
        told = []
        while followed.cursor < newest:
            event = await anext(followed)
            if getattr(event, "client_id", None) == client_id:
                told.append(event.name)
        return told


@asynccontextmanager
async def opened_messages(
    store: Store,
    folder: Path,
    server: ScriptedServer | None = None,
    *,
    clock: ManualClock | None = None,
    account: str = "",
    types: ActionTypes | None = None,
    **numbers: Any,
) -> AsyncIterator[MessageBench]:
    """Open messages that wait in `store`; retries wait as long as they may."""
    queue = QueueSettings(**{"statistics_debounce_s": 0.001, "stop_grace_s": 1.0, **numbers})
    settings = ChatSettings(
        use_queue=store != "direct", store="memory" if store == "memory" else "durable", queue=queue
    )
    bench_clock, bench_server = clock or ManualClock(), server or ScriptedServer()
    opening = open_messages(
        bench_server,
        folder / "messages.db",
        settings,
        account=account,
        types=types,
        clock=bench_clock,
        chance=lambda: 1.0,
    )
    with anyio.fail_after(LIMIT_S):
        async with opening as messages:
            yield MessageBench(messages, bench_server, bench_clock)

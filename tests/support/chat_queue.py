"""A queue in a temporary file with a scripted server behind it, and time moved by hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from chat.queue.action_queue import ActionQueue, open_queue
from chat.queue.actions import ActionTypes
from chat.queue.payloads import SendMessage
from chat.queue.settings import QueueSettings
from chat.testing import ManualClock, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chat.queue.events import Event


def message(content: str, room: str = "a") -> SendMessage:
    return SendMessage(room_id=room, content=content)


@dataclass
class Bench:
    """An open queue and what is around it."""

    queue: ActionQueue
    server: ScriptedServer
    clock: ManualClock

    def contents(self) -> list[Any]:
        """Return the contents of the messages that the server has, in its order."""
        return [each.payload.content for each in self.server.effects if isinstance(each.payload, SendMessage)]

    def called(self) -> list[Any]:
        """Return the contents of the messages that it was called with."""
        return [each.payload.content for each in self.server.calls]

    async def kinds(self, client_id: str) -> list[str]:
        """Return what has happened to an action."""
        return [each.kind for each in await self.events() if each.client_id == client_id]

    async def events(self) -> list[Event]:
        """Return all that has happened."""
        return await self.queue._engine.events.page(0)

    async def until(self, kind: str, client_id: str | None = None, times: int = 1) -> list[Event]:
        """Return the events up to the one with which `kind` has happened so often."""
        events = []
        async for event in self.queue.follow_events(0):
            events.append(event)
            if event.kind == kind and client_id in {None, event.client_id}:
                times -= 1
                if times == 0:
                    break
        return events


@asynccontextmanager
async def opened(
    folder: Path,
    server: ScriptedServer | None = None,
    *,
    types: ActionTypes | None = None,
    clock: ManualClock | None = None,
    handles: bool = True,
    chance: float = 1.0,
    probe: Any = None,
    seal: Any = None,
    **numbers: Any,
) -> AsyncIterator[Bench]:
    """Open the queue of `folder`; retries wait as long as they may (`chance`)."""
    bench_clock = clock or ManualClock()
    bench_server = server or ScriptedServer()
    settings = QueueSettings(**{"statistics_debounce_s": 0.001, "stop_grace_s": 1.0, **numbers})
    async with open_queue(
        folder / "queue.db",
        settings,
        types=types,
        clock=bench_clock,
        chance=lambda: chance,
        probe=probe,
        seal=seal,
    ) as queue:
        if handles:
            queue.handle_all(bench_server)
        yield Bench(queue, bench_server, bench_clock)


def _nothing() -> None:
    pass


@asynccontextmanager
async def passing_time(clock: ManualClock, *, step_s: float = 0.005) -> AsyncIterator[None]:
    """Let time go by, `step_s` each time that other threads had their turn, until this is left.

    Time that ran at the pace of the loop alone would let leases lapse while a busy machine writes to its disk; where
    leases are long, it may go faster.
    """
    async with anyio.create_task_group() as group:

        async def pass_on() -> None:
            while True:
                clock.advance(seconds=step_s)
                await anyio.to_thread.run_sync(_nothing)

        group.start_soon(pass_on)
        yield
        group.cancel_scope.cancel()

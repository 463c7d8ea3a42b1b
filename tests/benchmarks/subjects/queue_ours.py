"""This project's queue with its defaults: `queue`, or `queue:64` with so many handlers at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chat.queue.action_queue import ActionQueue, open_queue
from chat.queue.payloads import SendMessage
from chat.queue.records import ClaimRequest, Release, Settled, Turn
from chat.queue.settings import QueueSettings
from chat.queue.states import State
from tests.benchmarks.subjects.queue_protocol import BODY

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from chat.queue.handlers import Delivery
    from chat.queue.records import Lease

LANES_COUNT = 1_000
_MOST_WAITING_COUNT = 10_000_000
_AT_ONCE_COUNT = 1_000
_LEASE_MS = 60_000
_LOOK_S = 0.001


class OurQueue:
    """`open_queue` with its defaults, but for the number of actions that may wait."""

    _opening: AbstractAsyncContextManager[ActionQueue]
    _queue: ActionQueue

    def __init__(self, options: str = "") -> None:
        concurrency = int(options) if options else QueueSettings().concurrency
        self._settings = QueueSettings(max_waiting_count=_MOST_WAITING_COUNT, concurrency=concurrency)
        self.heard: dict[str, int] = {}
        """When the handler of each action began, by its content."""
        self._expected: dict[str, asyncio.Future[int]] = {}
        self.enqueued_count = 0
        """By `enqueue`, since `top_up`."""
        self._left_count = 0
        self._is_drained = asyncio.Event()
        self._leases: list[Lease] = []
        self._number = 0

    async def open(self, path: str) -> None:
        self._opening = open_queue(f"{path}.queue", self._settings)
        self._queue = await self._opening.__aenter__()

    async def close(self) -> None:
        await self._opening.__aexit__(None, None, None)

    async def enqueue(self, number: int) -> object:
        self.enqueued_count += 1
        return await self._queue.enqueue(SendMessage(room_id=f"room-{number % LANES_COUNT}", content=BODY))

    async def enqueue_named(self, name: str) -> None:
        await self._queue.enqueue(SendMessage(room_id="room", content=name))

    async def fill(self, *, lanes: int, count: int) -> None:
        self._queue.go_offline()
        self._queue.handle("send-message", self._count_down)
        for first in range(0, count, _AT_ONCE_COUNT):
            numbers = range(first, min(count, first + _AT_ONCE_COUNT))
            await asyncio.gather(
                *(
                    self._queue.enqueue(SendMessage(room_id=f"room-{n % lanes}", content=BODY))
                    for n in numbers
                )
            )

    async def drain(self, *, count: int, seconds: float) -> int:  # noqa: ARG002 - this one does not block
        self._left_count = count
        self._is_drained.clear()
        self._queue.go_online()
        await self._is_drained.wait()
        await self._until_settled()
        return count

    async def drain_some(self, count: int) -> None:
        """Handle `count` of the actions that wait."""
        self._left_count = count
        self._is_drained.clear()
        self._queue.go_offline()
        self._queue.handle("send-message", self._count_down)
        self._queue.go_online()
        await self._is_drained.wait()
        self._queue.go_offline()

    async def top_up(self) -> None:
        """Enqueue as many again as `drain_some` handled beyond what it was asked for."""
        while (await self._queue.statistics()).processing:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(_LOOK_S)
        for number in range(-self._left_count):
            await self.enqueue(number)
        self.enqueued_count = 0

    def listen(self) -> None:
        """Handle messages from now on, and note when each handler began."""
        self._queue.handle("send-message", self._hear)

    def expect(self, name: str) -> asyncio.Future[int]:
        """Return what will be the time at which the handler of `name` began."""
        self._expected[name] = future = asyncio.get_running_loop().create_future()
        return future

    async def claim_turn(self, lanes_count: int) -> float:
        """Give back what was claimed last and claim the first actions of other lanes; return the microseconds."""
        turn = self._claim(lanes_count)
        begun = time.perf_counter()
        done = await self._queue._engine._outbox.turn(turn)
        took_us = (time.perf_counter() - begun) * 1e6
        assert len(done.leases) == lanes_count
        self._leases = list(done.leases)
        return took_us

    async def give_back(self) -> None:
        """Give back what was claimed last."""
        await self._queue._engine._outbox.turn(replace(self._claim(1), claim=None))
        self._leases = []

    def _claim(self, lanes_count: int) -> Turn:
        clock = self._queue._engine.clock
        now_ms = clock.boot_ms()
        self._number += 1
        topics = (("messages", 0),)
        return Turn(
            now_ms=now_ms,
            at_ms=clock.wall_ms(),
            owner="benchmark",
            number=self._number,
            settled=[_given_back(lease) for lease in self._leases],
            releases=[Release(lease.lane_id, lease.fence, now_ms) for lease in self._leases],
            claim=ClaimRequest(
                lane_count=lanes_count,
                action_count=1,
                topics=topics,
                until_ms=now_ms + _LEASE_MS,
                ageing_ms=30_000,
                careful_count=1,
            ),
            topics=topics,
        )

    async def _until_settled(self) -> None:
        while (waiting := await self._queue.statistics()).pending + waiting.processing:  # noqa: ASYNC110
            await asyncio.sleep(0)  # the last of them are being written down

    async def _count_down(self, _delivery: Delivery) -> None:
        self._left_count -= 1
        if self._left_count == 0:
            self._is_drained.set()

    async def _hear(self, delivery: Delivery) -> None:
        at = time.monotonic_ns()
        name = delivery.payload.content
        self.heard[name] = at
        expected = self._expected.pop(name, None)
        if expected is not None:
            expected.set_result(at)


def _given_back(lease: Lease) -> Settled:
    action = lease.actions[0]
    return Settled(
        id=action.id,
        lane_id=lease.lane_id,
        fence=lease.fence,
        state=State.QUEUED,
        in_lane=True,
        due_ms=None,
        attempts=0,
        was_called=False,
    )

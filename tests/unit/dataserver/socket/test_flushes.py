"""What clients are told leaves at the end of the turn, all of them served at once; a task waits only for who is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio

from dataserver.socket.endings import DRAINING
from dataserver.socket.flushes import Flushes
from dataserver.socket.frames import Frame
from dataserver.socket.subscriber import WRITE_BYTES, Subscriber
from tests.support.loops import ASYNCIO, on

anyio_backend = on(ASYNCIO)

LIMIT_S = 10


class Taker:
    """A client's way out: it notes what was written, in which pieces."""

    def __init__(self) -> None:
        self.written: list[list[bytes]] = []
        self.reads = True

    def is_ready(self) -> bool:
        return self.reads

    def write_frames(self, wires: Sequence[bytes]) -> None:
        self.written.append(list(wires))

    async def until_writable(self) -> None:
        raise NotImplementedError


class Client:
    """A subscriber whose writing task waits for frames, as a connection's does."""

    def __init__(self, flushes: Flushes | None) -> None:
        self.subscriber = Subscriber(None, 10_000_000)
        self.taker = Taker()
        if flushes is not None:
            self.subscriber.leave_by(self.taker, flushes)
        self.task = asyncio.get_running_loop().create_task(self.subscriber.frames())

    async def of_task(self) -> list[Frame]:
        """Return the frames that the writing task got."""
        with anyio.fail_after(LIMIT_S):
            return await self.task


def frames(*texts: str) -> list[Frame]:
    return [Frame(text.encode()) for text in texts]


async def turn() -> None:
    """Let the loop turn, so that what is due is done."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_is_told_in_one_turn_leaves_in_one_piece_for_each_client() -> None:
    flushes = Flushes()
    clients = [Client(flushes) for _ in range(3)]
    told = frames("1", "2", "3")
    await turn()
    for frame in told:
        for client in clients:
            client.subscriber.push(frame)
    assert not clients[0].taker.written
    await turn()
    assert [client.taker.written for client in clients] == 3 * [[[frame.wire for frame in told]]]
    assert flushes.sent_bytes == 3 * sum(frame.size for frame in told)
    assert not any(client.task.done() for client in clients)
    clients[0].subscriber.push(told[0])
    await turn()
    assert len(clients[0].taker.written) == 2
    for client in clients:
        client.task.cancel()


async def test_for_a_client_that_does_not_read_its_task_takes_over() -> None:
    slow = Client(Flushes())
    slow.taker.reads = False
    told = frames("1", "2")
    await turn()
    for frame in told:
        slow.subscriber.push(frame)
    assert await slow.of_task() == told
    assert slow.taker.written == []


async def test_of_much_that_waits_so_much_leaves_and_the_task_sends_the_rest() -> None:
    client = Client(Flushes())
    told = frames(*["x" * (WRITE_BYTES - 100), "y" * 1_000, "z"])
    await turn()
    for frame in told:
        client.subscriber.push(frame)
    assert await client.of_task() == told[1:]
    assert client.taker.written == [[told[0].wire]]


async def test_a_client_that_is_ended_in_the_same_turn_is_told_what_came_before_by_its_task() -> None:
    client = Client(Flushes())
    (told,) = frames("last")
    await turn()
    client.subscriber.push(told)
    client.subscriber.end(DRAINING)
    assert await client.of_task() == [told]
    assert client.taker.written == []
    assert await client.subscriber.frames() == []


async def test_who_waits_for_room_goes_on_when_frames_have_left() -> None:
    flushes = Flushes()
    subscriber, taker = Subscriber(None, 100), Taker()
    subscriber.leave_by(taker, flushes)
    writer = asyncio.get_running_loop().create_task(subscriber.frames())
    await turn()
    subscriber.push(Frame(b"x" * 90))
    with anyio.fail_after(LIMIT_S):
        await subscriber.until_half_empty()
    assert len(taker.written) == 1
    writer.cancel()


async def test_where_the_server_offers_nothing_the_task_does_all() -> None:
    client = Client(None)
    (told,) = frames("1")
    await turn()
    client.subscriber.push(told)
    assert await client.of_task() == [told]

"""Actions that arrive together are stored by a few statements; what does not fit is judged one by one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from chat.queue.action_queue import open_queue
from chat.queue.actions import ActionTypes
from chat.queue.opening import open_tables
from chat.queue.outbox import Outbox
from chat.queue.packing import Packing
from chat.queue.records import Added, ClaimRequest, Release, Turn
from chat.queue.settings import QueueSettings
from chat.statement_texts import for_rows
from chat.testing import ManualClock
from tests.support.chat_queue import message
from tests.support.loops import ASYNCIO, on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chat.queue.records import NewAction
    from chat.queue.tables import Tables

anyio_backend = on(ASYNCIO)  # rules kept in tables; the queue's own loop is tried on both by its neighbours

CLOCK = ManualClock()
PACKING = Packing(ActionTypes(), CLOCK)
DUE_MS = CLOCK.boot_ms()


@asynccontextmanager
async def outbox(folder: Path) -> AsyncIterator[tuple[Outbox, Tables]]:
    async with open_tables(folder / "queue.db", QueueSettings()) as tables:
        yield Outbox(tables), tables


def new(
    content: str, room: str = "a", needs: tuple[str, ...] = (), client_id: str | None = None
) -> NewAction:
    return PACKING.packed(message(content, room), needs=needs, client_id=client_id or content)


async def stored(tables: Tables) -> list[str]:
    rows = await tables.read("some", (None, None, None, None, 0, 1_000))
    return [row[0] for row in rows]


@pytest.mark.parametrize("count", [2, 3, 5, 87, 200])
async def test_any_number_is_stored_in_order(tmp_path: Path, count: int) -> None:
    names = [f"{number:03}" for number in range(count)]
    async with outbox(tmp_path) as (queue, tables):
        verdicts = await queue.add([new(name, room=f"{name[-1]}") for name in names], limit=count)

        assert verdicts == [Added.STORED] * count
        assert await stored(tables) == names


async def test_one_that_is_there_already_keeps_no_other_out(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (queue, tables):
        await queue.add([new("2")], limit=10)
        verdicts = await queue.add(
            [new("1"), new("2"), new("other", client_id="2"), new("3"), new("3")], limit=10
        )

        assert verdicts == [Added.STORED, Added.DUPLICATE, Added.CONFLICT, Added.STORED, Added.DUPLICATE]
        assert await stored(tables) == ["2", "1", "3"]


async def test_as_many_are_stored_as_there_is_room_for_the_first_ones(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(70)]
    async with outbox(tmp_path) as (queue, tables):
        verdicts = await queue.add([new(name) for name in names], limit=66)

        assert verdicts == [Added.STORED] * 66 + [Added.FULL] * 4
        assert await stored(tables) == names[:66]


async def test_a_lane_that_was_pruned_meanwhile_is_made_again(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (queue, tables):
        await queue.add([new("1"), new("2"), new("3", room="b")], limit=10)
        await tables.write("cancel", ("1", 1))
        await tables.write("cancel", ("2", 1))
        await tables.write("prune_done", (2,))
        topics = (("messages", 0),)
        claim = ClaimRequest(
            lane_count=9, action_count=1, topics=topics, until_ms=DUE_MS, ageing_ms=1, careful_count=1
        )
        done = await queue.turn(
            Turn(now_ms=DUE_MS, at_ms=2, owner="me", number=1, claim=claim, topics=topics)
        )
        releases = [Release(lease.lane_id, lease.fence, DUE_MS) for lease in done.leases]
        await queue.turn(Turn(now_ms=DUE_MS, at_ms=2, owner="me", number=2, releases=releases))
        await tables.write("prune_lanes")
        assert (await tables.write("resume_lane", ("messages//a",))).rows == []

        assert await queue.add([new("4"), new("5")], limit=10) == [Added.STORED] * 2
        assert await stored(tables) == ["3", "4", "5"]


async def test_an_action_needs_those_before_it_and_not_those_after_it(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (queue, tables):
        await queue.add([new("1"), new("2", needs=("1", "3")), new("3"), new("4", needs=("5",))], limit=10)

        waits_for = [(await tables.read("why", (name,)))[0][10] for name in ("1", "2", "3", "4")]
        assert waits_for == [None, "1", None, None]


def test_a_statement_without_a_row_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="no row"):
        for_rows("SELECT ?1", 2)


async def test_many_large_payloads_at_once_are_stored_in_several_pieces(tmp_path: Path) -> None:
    content = "x" * 1_000_000
    async with open_queue(tmp_path / "queue.db", clock=ManualClock()) as queue:
        receipts = [queue.put(message(content, room=f"{number}")) for number in range(30)]
        with anyio.fail_after(30):
            for receipt in receipts:
                await receipt.durable()

        assert (await queue.statistics()).pending == 30

"""A transaction that is being ended: nobody passes its gate before its worker has rolled it back."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from storage.errors import TransactionLost
from storage.transactions import opened
from storage.write_gate import WriteGate
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workers import Pool

LIMIT_S = 20.0


class SlowWriter:
    """A pool whose one session takes its time to roll back."""

    def __init__(self) -> None:
        self.may_roll_back = anyio.Event()
        self.methods: list[str] = []

    @asynccontextmanager
    async def session(self, *, tenant: str) -> AsyncIterator[SlowWriter]:
        assert tenant == "shop.db"
        yield self

    async def call(self, method: str, _params: Any, *, timeout_s: float) -> list[int]:
        assert timeout_s > 0
        self.methods.append(method)
        if method == "transaction_roll_back":
            await self.may_roll_back.wait()
        return [0, 0]


async def test_who_lost_its_transaction_lets_nobody_write_before_it_is_rolled_back() -> None:
    writer, gate, order = SlowWriter(), WriteGate(max_waiting_count=10), []

    async def hold() -> None:
        async with opened(
            lambda: cast("Pool", writer), gate, "shop.db", lease_s=0.001, timeout_s=LIMIT_S
        ) as held:
            held_open.set()
            await until(lambda: "transaction_roll_back" in writer.methods)
            await held.execute("SELECT 1")

    async def lose() -> None:
        with pytest.raises(TransactionLost, match="others waited"):
            await hold()
        order.append("left")

    async def write() -> None:
        await gate.passed(LIMIT_S)
        order.append("written")

    held_open = anyio.Event()
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(lose)
            await held_open.wait()
            group.start_soon(write)
            await until(lambda: "transaction_roll_back" in writer.methods)
            await anyio.wait_all_tasks_blocked()
            before = list(order)
            writer.may_roll_back.set()
    assert not before
    assert sorted(order) == ["left", "written"]
    assert writer.methods == ["transaction_begin", "transaction_roll_back"]

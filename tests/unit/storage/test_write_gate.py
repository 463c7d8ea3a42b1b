"""Who may write to a database, and who waits for whom."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from storage.errors import StorageSaturated, WriteTimedOut
from storage.write_gate import WriteGate

LIMIT_S = 20.0


class Held:
    """A transaction."""

    def __init__(self, gate: WriteGate) -> None:
        self.gate = gate
        self.lease_until = float("inf")
        self.is_ended = False

    async def end_lease(self) -> None:
        self.is_ended = True
        self.gate.given_back(self)


@pytest.fixture
def gate() -> WriteGate:
    return WriteGate(max_waiting_count=3)


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await checkpoint()


async def write(gate: WriteGate) -> None:
    await gate.passed(LIMIT_S)
    gate.left()


async def hold(gate: WriteGate) -> None:
    held = Held(gate)
    await gate.taken(held, LIMIT_S)
    gate.given_back(held)


async def test_nobody_passes_those_who_wait_though_the_gate_is_given_back_and_wanted_at_once(
    gate: WriteGate,
) -> None:
    done: list[str] = []

    async def others(what: str) -> None:
        await gate.passed(LIMIT_S)
        done.append(what)
        gate.left()

    async def move() -> None:
        async with gate.shut():
            done.append("move")

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            held = Held(gate)
            await gate.taken(held, LIMIT_S)
            group.start_soon(others, "write")
            await turns()
            group.start_soon(move)
            await turns()
            gate.given_back(held)
            again = Held(gate)
            await gate.taken(again, LIMIT_S)  # as a program that opens one transaction after the other
            done.append("again")
            gate.given_back(again)
    assert done == ["write", "move", "again"]
    assert gate.is_open


async def test_who_waits_since_before_a_transaction_began_ends_it_when_its_lease_is_over(
    gate: WriteGate,
) -> None:
    held = Held(gate)
    await gate.taken(held, LIMIT_S)
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(write, gate)
            await turns()
            held.lease_until = 0.0
            gate.stir()
    assert held.is_ended


async def test_the_next_one_ends_a_lease_when_the_first_has_left(gate: WriteGate) -> None:
    held = Held(gate)
    await gate.taken(held, LIMIT_S)
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            first = anyio.CancelScope()

            async def leave() -> None:
                with first:
                    await gate.passed(LIMIT_S)

            group.start_soon(leave)
            await turns()
            group.start_soon(write, gate)
            await turns()
            held.lease_until = 0.0
            first.cancel()
    assert held.is_ended
    assert gate.is_open


async def test_who_is_cancelled_as_it_is_let_in_keeps_nobody_out(gate: WriteGate) -> None:
    with anyio.fail_after(LIMIT_S):
        for wants_all in (False, True):
            held = Held(gate)
            await gate.taken(held, LIMIT_S)
            async with anyio.create_task_group() as group:
                group.start_soon(hold if wants_all else write, gate)
                await turns()
                gate.given_back(held)
                group.cancel_scope.cancel()
            async with gate.shut():
                assert not gate.is_open
    assert gate.is_open


async def test_a_wait_has_an_end_and_so_has_the_line(gate: WriteGate) -> None:
    held = Held(gate)
    await gate.taken(held, LIMIT_S)
    with pytest.raises(WriteTimedOut):
        await gate.passed(0.0)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(write, gate)
        await turns()
        with pytest.raises(StorageSaturated):
            await gate.passed(LIMIT_S)
        gate.given_back(held)
    gate.entered()
    with pytest.raises(WriteTimedOut):
        await gate.taken(Held(gate), 0.01)
    gate.left()
    assert gate.is_open

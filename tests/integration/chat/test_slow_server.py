"""A server that takes 5.5 seconds for each save, in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from typing_extensions import override

from chat import ActionFailed, Permanent, SaveUserConfig, SyncSpaceKeys
from chat.queue.clock import Wake
from chat.testing import ManualClock, ScriptedServer
from tests.support.chat_queue import Bench, message, opened
from tests.support.loops import one_loop
from tests.support.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.queue.receipts import Receipt

SAVE_S = 5.5
STEP_S = 0.1
ALL_SAVED_S = 30.0


class SlowServer(ScriptedServer):
    """Does each action as it should, after a while."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self.answered_ms: list[int] = []

    @override
    async def deliver(self, delivery: Any) -> Any:
        await self._clock.wait(Wake(), self._clock.boot_ms() + int(1000 * SAVE_S))
        self.answered_ms.append(self._clock.boot_ms())
        return await super().deliver(delivery)


async def settled(bench: Bench) -> None:
    """Let the queue do all that it can do at this moment; each turn of it is one write, and these come after it."""
    for _ in range(4):
        await bench.queue.move_cursor("settled", 0)
        for _ in range(10):
            await checkpoint()


async def all_sent(bench: Bench, receipts: Sequence[Receipt]) -> float:
    """Let time go by, a step at a time, until all are sent; return how long that was, in virtual seconds."""
    passed_s = 0.0
    answers: list[Any] = []

    async def wait(receipt: Receipt) -> None:
        answers.append(await receipt.sent())

    async with anyio.create_task_group() as group:
        for receipt in receipts:
            group.start_soon(wait, receipt)
        while len(answers) < len(receipts):
            await settled(bench)
            bench.clock.advance(seconds=STEP_S)
            passed_s += STEP_S
            assert passed_s < 2 * ALL_SAVED_S
    return passed_s


async def test_to_enqueue_never_waits_for_the_server(tmp_path: Path) -> None:
    clock = ManualClock()
    server = SlowServer(clock)
    with anyio.fail_after(LIMIT_S):
        async with opened(tmp_path, server, clock=clock, stop_grace_s=0.001) as bench:
            await bench.queue.enqueue(SaveUserConfig(fields={"a": 0}), delay_s=0)
            await settled(bench)
            for number in range(50):  # the clock stands still, so the server never answers
                await bench.queue.enqueue(message(str(number)))
                await bench.queue.enqueue(SaveUserConfig(fields={"a": number}))
            counted = await bench.queue.statistics()
            clock.advance(seconds=1)
            assert (counted.completed, server.answered_ms) == (0, [])
            bench.queue.go_offline()
            async with anyio.create_task_group() as group:
                group.start_soon(_keep_time, clock)
                await until(lambda: not bench.queue._engine.runner._lanes.by_id)
                group.cancel_scope.cancel()


async def _keep_time(clock: ManualClock) -> None:
    while True:
        clock.advance(seconds=STEP_S)
        await checkpoint()


async def test_ten_changes_in_a_second_are_at_most_two_saves_and_each_caller_hears_of_its_own(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    server = SlowServer(clock)
    with anyio.fail_after(LIMIT_S):
        async with opened(tmp_path, server, clock=clock) as bench:
            receipts = []
            for number in range(10):
                change = SaveUserConfig(fields={f"f{number % 3}": number, "last": number})
                receipts.append(await bench.queue.enqueue(change))
                await settled(bench)
                clock.advance(seconds=0.1)
            passed_s = await all_sent(bench, receipts)
            saved: dict[str, Any] = {}
            for effect in server.effects:
                saved |= effect.payload.fields

    assert len(server.effects) <= 2
    assert saved == {"f0": 9, "f1": 7, "f2": 8, "last": 9}
    assert passed_s <= ALL_SAVED_S


async def test_a_change_during_a_save_is_in_the_next_one_and_nothing_is_lost(tmp_path: Path) -> None:
    clock = ManualClock()
    server = SlowServer(clock)
    with anyio.fail_after(LIMIT_S):
        async with opened(tmp_path, server, clock=clock) as bench:
            receipts = [await bench.queue.enqueue(SaveUserConfig(fields={"a": 0, "b": 0}), delay_s=0)]
            for number in range(1, 10):
                await settled(bench)
                clock.advance(seconds=0.1)
                receipts.append(await bench.queue.enqueue(SaveUserConfig(fields={"a": number})))
            passed_s = await all_sent(bench, receipts)

    assert [effect.payload.fields for effect in server.effects] == [{"a": 0, "b": 0}, {"a": 9}]
    assert passed_s <= ALL_SAVED_S


async def test_a_user_that_waits_for_a_confirmation_does_not_wait_for_more_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:  # whose clock stands still: a debounce would never end
        waiting = await bench.queue.enqueue(SaveUserConfig(fields={"a": 1}))
        with anyio.fail_after(LIMIT_S):
            answer = await bench.queue.save_now(SaveUserConfig(fields={"b": 2}))
            assert await waiting.sent() == answer == {"seq": 1}
        bench.server.script(Permanent("too large", status=422))
        with anyio.fail_after(LIMIT_S), pytest.raises(ActionFailed, match="422: too large"):
            await bench.queue.save_now(SaveUserConfig(fields={"c": 3}))

    assert bench.server.effects[0].payload.fields == {"a": 1, "b": 2}


@pytest.mark.parametrize("change_count", [1, 3])
@one_loop
async def test_settings_of_fifty_spaces_cost_no_more_statements_than_those_of_one(
    tmp_path: Path, change_count: int
) -> None:
    counts = []
    for space_count in (1, 50):
        folder = anyio.Path(tmp_path / str(space_count))
        await folder.mkdir()
        async with opened(Path(folder), handles=False) as bench:
            await settled(bench)
            statements = _count(bench)
            receipts = []
            for version in range(change_count):
                spaces = {f"space {number}": {"version": version} for number in range(space_count)}
                receipts.append(await bench.queue.enqueue(SaveUserConfig(fields=spaces)))
                keys = dict.fromkeys(spaces, f"key {version}")
                receipts.append(await bench.queue.enqueue(SyncSpaceKeys(keys=keys, version=version)))
            counts.append(len(statements))
            bench.queue.handle_all(bench.server)
            with anyio.fail_after(LIMIT_S):
                await all_sent(bench, receipts)
            fields, keys_sent = (
                next(each.payload for each in bench.server.effects if each.type == name)
                for name in ("save-user-config", "sync-space-keys")
            )
            assert len(fields.fields) == len(keys_sent.keys) == space_count
            assert len(bench.server.calls) == 2

    assert counts[0] == counts[1]


def _count(bench: Bench) -> list[str]:
    """Return a list that grows by the name of each statement that the queue runs."""
    tables = bench.queue._engine._tables
    names: list[str] = []
    read, write, write_all = tables.read, tables.write, tables.write_all

    async def counted_read(name: str, params: Any = ()) -> Any:
        names.append(name)
        return await read(name, params)

    async def counted_write(name: str, params: Any = ()) -> Any:
        names.append(name)
        return await write(name, params)

    async def counted_write_all(named: Any) -> Any:
        names.extend(name for name, _ in named)
        return await write_all(named)

    tables.read = counted_read  # type: ignore[method-assign]
    tables.write = counted_write  # type: ignore[method-assign]
    tables.write_all = counted_write_all  # type: ignore[method-assign]
    return names

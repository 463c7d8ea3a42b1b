"""Shared state means the same on every backing: atomics, a lock, an owner; and without futexes and inotify too."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from tests.support.waiting import until
from workers import TaskCancelled
from workers.shared import cells as cells_module
from workers.shared import opening
from workers.shared.board import SharedBoard
from workers.shared.cancellation import SharedCancellation
from workers.shared.cells import Backing
from workers.shared.counter import SharedCounter
from workers.shared.errors import OwnerLost, SharedClosed, SharedRefused
from workers.shared.flag import SharedFlag
from workers.shared.memory import MemoryCells
from workers.shared.native import Native, native
from workers.shared.progress import ProgressState, SharedProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 20.0
KINDS: list[type[Any]] = [SharedCancellation, SharedCounter, SharedFlag, SharedProgress]
USES: dict[Any, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    SharedCancellation: (SharedCancellation.set, lambda each: each.is_set),
    SharedCounter: (SharedCounter.add, lambda each: each.value),
    SharedFlag: (SharedFlag.toggle, lambda each: each.is_set),
    SharedProgress: (SharedProgress.add, lambda each: each.done),
}


@pytest.fixture(params=["atomics", "lock", "owner", "without futex", "without inotify"])
def backing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backing:
    """Each backing, and shared memory with one way to wake switched off."""
    machine = native()
    lacks: dict[str, Native] = {
        "without futex": replace(machine, futex=None),
        "without inotify": replace(machine, inotify=None),
    }
    if request.param not in lacks:
        chosen: Backing = request.param
        return chosen
    monkeypatch.setattr(opening, "native", lambda: lacks[request.param])
    return "lock" if request.param == "without futex" else "atomics"


@pytest.fixture(autouse=True)
def nobody_waits_for_the_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that nobody wakes hangs, and fails, instead of being saved by the safety net."""
    monkeypatch.setattr(cells_module, "NET_S", 10 * LIMIT_S)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    ours = [each for each in threading.enumerate() if each.name in {"board", "shared-lender"}]
    for thread in ours:
        thread.join(LIMIT_S)
    assert not any(thread.is_alive() for thread in ours)
    if left_open():
        gc.collect()  # a traceback keeps what its frames had
    assert left_open() == []


def left_open() -> list[str]:
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that listed them
            found.append(str(fd.readlink()))
    return [each for each in found if "memfd:shared" in each or "inotify" in each]


def at_once(count: int, work: Callable[[], object]) -> list[object]:
    """Run `work` in so many threads and return what each returned."""
    results: list[object] = []
    gate = threading.Barrier(count)

    def main() -> None:
        gate.wait()
        results.append(work())

    threads = [threading.Thread(target=main) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    return results


async def in_thread(work: Callable[[], Any]) -> Any:
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def test_a_counter_loses_no_addition_of_several_threads(backing: Backing) -> None:
    with SharedCounter(5, backing=backing) as counter:

        def work() -> None:
            for _ in range(200):
                counter.add(3)
                counter.subtract()

        at_once(4, work)
        assert counter.value == 5 + 4 * 200 * 2


def test_a_counter_is_swapped_only_from_what_was_expected(backing: Backing) -> None:
    with SharedCounter(backing=backing) as counter:
        assert counter.compare_and_swap(0, -7)
        assert not counter.compare_and_swap(0, 9)
        assert counter.value == -7
        won = at_once(4, lambda: counter.compare_and_swap(-7, 1))
        assert sorted(map(bool, won)) == [False, False, False, True]


@pytest.mark.parametrize("far", [2**63 - 1, -(2**63)], ids=["highest", "lowest"])
def test_a_sum_of_more_than_64_bits_is_refused_and_changes_nothing(backing: Backing, far: int) -> None:
    with SharedCounter(far, backing=backing) as counter:
        step = 1 if far > 0 else -1
        with pytest.raises(OverflowError, match="64 bits"):
            counter.add(step)
        assert counter.value == far
        assert counter.add(-far) == 0
        assert counter.add(far) == far


@pytest.mark.parametrize("number", [2**63, 2**64 + 5, -(2**63) - 1])
def test_a_number_of_more_than_64_bits_is_nowhere_taken_for_another(backing: Backing, number: int) -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        SharedCounter(number, backing=backing)
    with SharedCounter(5, backing=backing) as counter:
        assert not counter.compare_and_swap(number, 7)
        with pytest.raises(OverflowError, match="64 bits"):
            counter.compare_and_swap(5, number)
        assert counter.value == 5


def test_of_several_that_set_or_clear_a_flag_one_did(backing: Backing) -> None:
    with SharedFlag(backing=backing) as flag:
        assert at_once(3, flag.set).count(True) == 1
        assert flag.is_set
        assert at_once(3, flag.clear).count(True) == 1
        assert not flag.is_set
        assert (flag.toggle(), flag.is_set, flag.toggle(), flag.is_set) == (True, True, False, False)


def test_an_even_number_of_toggles_leaves_a_flag_as_it_was(backing: Backing) -> None:
    with SharedFlag(backing=backing) as flag:
        results = at_once(4, flag.toggle)
        assert results.count(True) == 2
        assert not flag.is_set


async def test_a_thread_that_waits_on_a_flag_is_woken_by_each_change(backing: Backing) -> None:
    with SharedFlag(backing=backing) as flag, anyio.fail_after(LIMIT_S):
        seen: list[bool] = []

        async def follow() -> None:
            seen.append(await in_thread(flag.wait))
            seen.append(await in_thread(lambda: flag.wait(is_set=False)))

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            await in_thread(flag.set)
            await until(lambda: len(seen) == 1)
            await in_thread(flag.clear)
        assert seen == [True, True]


async def test_a_task_that_waits_on_a_flag_is_woken_by_each_change(backing: Backing) -> None:
    with SharedFlag(backing=backing) as flag, anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(flag.until)
            await in_thread(flag.set)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: flag.until(is_set=False))
            await in_thread(flag.clear)


async def test_a_wake_up_that_died_with_its_sender_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells_module, "NET_S", 0.02)
    monkeypatch.setattr(MemoryCells, "_tell", lambda *_: None)
    with SharedFlag() as flag, anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(flag.until)
            group.start_soon(in_thread, flag.wait)
            await anyio.wait_all_tasks_blocked()
            flag.set()


def test_a_wait_ends_at_its_time(backing: Backing) -> None:
    with SharedFlag(backing=backing) as flag, SharedCancellation(backing=backing) as cancellation:
        assert not flag.wait(0.01)
        assert not flag.wait(0.0)
        assert not cancellation.wait(0.01)
        cancellation.set()
        assert cancellation.wait(0.0)


async def test_who_waits_on_what_is_closed_here_is_told(backing: Backing) -> None:
    flag = SharedFlag(backing=backing)
    errors: list[str] = []

    async def follow(wait: Callable[[], Any]) -> None:
        try:
            await wait()
        except SharedClosed:
            errors.append("closed")

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(follow, lambda: in_thread(flag.wait))
            group.start_soon(follow, flag.until)
            await anyio.wait_all_tasks_blocked()
            await in_thread(flag.close)
    assert errors == ["closed"] * 2
    for use in (flag.set, flag.toggle, flag.wait, flag.get_buffer, lambda: flag.is_set):
        with pytest.raises(SharedClosed):
            use()
    flag.close()
    assert flag.is_closed


async def test_a_cancellation_cancels_what_is_done_under_it(backing: Backing) -> None:
    with SharedCancellation(backing=backing) as cancellation, anyio.fail_after(LIMIT_S):
        cancellation.check()
        async with cancellation.scope() as scope, anyio.create_task_group() as group:
            group.start_soon(in_thread, cancellation.set)
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        with pytest.raises(TaskCancelled):
            cancellation.check()
        async with cancellation.scope() as late:
            await anyio.sleep_forever()
        assert late.cancelled_caught


async def test_what_ends_by_itself_under_a_cancellation_ends_as_without_it(backing: Backing) -> None:
    with SharedCancellation(backing=backing) as cancellation, anyio.fail_after(LIMIT_S):
        async with cancellation.scope() as scope:
            pass
        assert not scope.cancelled_caught
        with pytest.raises(KeyError, match="of its own"):
            async with cancellation.scope():
                raise KeyError("of its own")
        with anyio.move_on_after(0.01) as outer:
            async with cancellation.scope():
                await anyio.sleep_forever()
        assert outer.cancelled_caught


async def test_a_cancellation_that_is_closed_cancels_and_says_why(backing: Backing) -> None:
    cancellation = SharedCancellation(backing=backing)

    async def work() -> None:
        async with cancellation.scope():
            cancellation.close()
            await anyio.sleep_forever()

    with anyio.fail_after(LIMIT_S), pytest.raises(SharedClosed):
        await work()


async def test_a_subscriber_hears_the_value_of_now_and_the_last_of_many(backing: Backing) -> None:
    with SharedProgress(3, backing=backing) as progress, anyio.fail_after(LIMIT_S):
        async with progress.subscribe(min_interval_s=0.001) as states:
            assert await anext(states) == ProgressState(0, 3)
            for _ in range(3):
                progress.add()
            assert await anext(states) == ProgressState(3, 3)
            async with anyio.create_task_group() as group:
                group.start_soon(in_thread, lambda: progress.reset(10))
                assert await anext(states) == ProgressState(0, 10)
            assert (progress.done, progress.total, progress.percent) == (0, 10, 0.0)
            progress.set_total(None)
            assert (await anext(states)).percent is None


async def test_a_subscription_ends_when_it_is_closed_here(backing: Backing) -> None:
    counter, flag = SharedCounter(4, backing=backing), SharedFlag(backing=backing)
    with anyio.fail_after(LIMIT_S):
        async with counter.subscribe() as values, flag.subscribe(min_interval_s=0.0) as states:
            async with anyio.create_task_group() as group:
                group.start_soon(in_thread, counter.close)
                assert [each async for each in values] in ([4], [])
            async for is_set in states:
                if is_set:
                    break
                flag.set()
    flag.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_made_from_a_buffer_is_the_same_object(backing: Backing, kind: type[Any]) -> None:
    with kind(backing=backing) as first, kind.from_buffer(memoryview(first.get_buffer())) as second:
        assert second.backing == first.backing == backing
        change, look = USES[kind]
        for each in (first, second):
            before = look(first)
            change(each)
            assert look(first) == look(second)
            assert kind is SharedCancellation or look(first) != before


@pytest.mark.parametrize("kind", KINDS)
def test_a_buffer_of_another_kind_is_refused(backing: Backing, kind: type[Any]) -> None:
    other = KINDS[KINDS.index(kind) - 1]
    with kind(backing=backing) as made, pytest.raises(SharedRefused, match="kind"):
        other.from_buffer(made.get_buffer())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("buffer", [b"", b"nonsense", b"\x93\xa6board1", b"\x93\xa5page1\xc4\x00\xc4\x00"])
def test_a_buffer_of_nothing_is_refused(kind: type[Any], buffer: bytes) -> None:
    with pytest.raises((SharedRefused, OwnerLost)):
        kind.from_buffer(buffer)


def test_a_buffer_of_what_was_closed_is_refused(backing: Backing) -> None:
    counter = SharedCounter(backing=backing)
    buffer = counter.get_buffer()
    counter.close()
    with pytest.raises((SharedRefused, OwnerLost)):
        SharedCounter.from_buffer(buffer)


def test_one_that_was_handed_over_outlives_the_one_it_came_from_if_it_is_memory() -> None:
    first = SharedCounter(1)
    second = SharedCounter.from_buffer(first.get_buffer())
    first.close()
    with second:
        assert second.add() == 2


def test_a_board_is_gone_with_its_owner() -> None:
    board = SharedBoard({"name": "value"})
    link = SharedBoard.from_buffer(board.get_buffer())
    assert link.get("name") == "value"
    board.close()
    for use in (lambda: link.get("name"), lambda: link.set("name", 1), lambda: link.wait(lambda: False, 1.0)):
        with pytest.raises(OwnerLost):
            use()
    link.close()
    with pytest.raises(SharedClosed):
        link.get("name")


def test_a_backing_that_is_not_known_is_refused() -> None:
    with pytest.raises(SharedRefused, match="no backing 'paper'"):
        SharedCounter(backing="paper")  # type: ignore[arg-type]  # that is the point


def test_what_can_not_be_had_is_refused_or_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "native", lambda: Native(None, None, None))
    with pytest.raises(SharedRefused, match="atomic"):
        SharedCounter(backing="atomics")
    with SharedCounter() as counter:
        assert counter.backing == "lock"
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(SharedRefused, match="memory"):
        SharedCounter(backing="lock")
    with SharedCounter(3) as counter:
        assert (counter.backing, counter.add()) == ("owner", 4)


def test_a_process_without_atomics_takes_no_page_that_is_changed_by_them() -> None:
    with SharedCounter(backing="atomics") as counter:
        page = counter._cells._page  # type: ignore[attr-defined]  # what no caller sees
        with pytest.raises(SharedRefused, match="atomic"):
            MemoryCells(page, Native(None, None, None))

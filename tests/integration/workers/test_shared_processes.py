"""Shared state between processes: exact counts, wake-ups without a safety net, hand-over through pools."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from tests.support.loops import one_loop
from workers import BridgeSettings, Kind, TaskCancelled, open_bridges
from workers.shared import cells as cells_module
from workers.shared.cancellation import SharedCancellation
from workers.shared.cells import BACKINGS, Backing
from workers.shared.counter import SharedCounter
from workers.shared.flag import SharedFlag
from workers.shared.progress import SharedProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PROCESSES_COUNT = 4
TIMES: dict[Backing, int] = {"atomics": 2_000, "lock": 1_000, "owner": 150}
SERVICE = "tests.support.shared_services:SharedBench"
LIMIT_S = 20.0


@pytest.fixture(params=BACKINGS)
def backing(request: pytest.FixtureRequest) -> Backing:
    chosen: Backing = request.param
    return chosen


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


Child = subprocess.Popen[str]


@contextmanager
def children(count: int, *arguments: str) -> Iterator[list[Child]]:
    """Start so many processes, each up to its first word."""
    started = [
        subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-m", "tests.support.shared_child", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(count)
    ]
    try:
        for child in started:
            assert said(child) == "ready"
        yield started
    finally:
        for child in started:
            child.kill()
            child.communicate()


def said(child: Child) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def tell(child: Child) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def run_all(started: list[Child]) -> None:
    for child in started:
        tell(child)
    for child in started:
        assert said(child) == "done"


def test_no_addition_and_no_swap_of_several_processes_is_lost(backing: Backing) -> None:
    times = TIMES[backing]
    with SharedCounter(backing=backing) as counter:
        with children(PROCESSES_COUNT, "count", counter.get_buffer().hex(), str(times)) as started:
            run_all(started)
        assert counter.value == PROCESSES_COUNT * times * 3


def test_an_even_number_of_toggles_of_several_processes_leaves_a_flag_clear(backing: Backing) -> None:
    with SharedFlag(backing=backing) as flag:
        with children(2, "toggle", flag.get_buffer().hex(), str(TIMES[backing] + 1)) as started:
            run_all(started)
        assert not flag.is_set


def test_what_is_added_after_the_last_reset_is_what_is_done(backing: Backing) -> None:
    with SharedProgress(1, backing=backing) as progress:
        with children(2, "work", progress.get_buffer().hex(), str(TIMES[backing])) as started:
            for child in started:
                tell(child)
            for total in range(200):
                progress.reset(total)
                state = progress.state
                assert state.total == total
                assert 0 <= state.done <= 2 * TIMES[backing]
            for child in started:
                assert said(child) == "done"
        progress.reset(4)
        progress.add(3)
        assert progress.percent == 75.0


def test_a_process_that_waits_is_woken_by_another_and_not_by_its_net(backing: Backing) -> None:
    with (
        SharedFlag(backing=backing) as flag,
        SharedCancellation(backing=backing) as cancellation,
        children(2, "wait", flag.get_buffer().hex(), "") as waiting,
        children(1, "stop", cancellation.get_buffer().hex(), "") as working,
    ):
        flag.set()
        assert [said(child) for child in waiting] == ["set"] * 2
        flag.clear()
        assert [said(child) for child in waiting] == ["clear"] * 2
        cancellation.set()
        assert said(working[0]) == "stopped"


@pytest.mark.parametrize("backing", ["lock", "owner"])
async def test_a_task_that_waits_is_woken_by_another_process_and_not_by_its_net(
    backing: Backing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells_module, "NET_S", 600.0)
    with SharedFlag(backing=backing) as flag:
        setting = children(1, "set", flag.get_buffer().hex(), "")
        [child] = await anyio.to_thread.run_sync(setting.__enter__)
        try:
            with anyio.fail_after(LIMIT_S):
                async with anyio.create_task_group() as group:
                    group.start_soon(flag.until)
                    await anyio.wait_all_tasks_blocked()
                    await anyio.to_thread.run_sync(tell, child)
                assert flag.is_set
        finally:
            await anyio.to_thread.run_sync(setting.__exit__, None, None, None)


@one_loop
@pytest.mark.parametrize("backing", ["atomics", "owner"])
async def test_every_kind_of_worker_gets_shared_state_with_a_request(backing: Backing, kind: Kind) -> None:
    with (
        SharedCounter(10, backing=backing) as counter,
        SharedProgress(backing=backing) as progress,
        SharedFlag(backing=backing) as flag,
        anyio.fail_after(LIMIT_S),
    ):
        buffers = [each.get_buffer() for each in (counter, progress, flag)]
        async with open_bridges(BridgeSettings(kind=kind)) as bridges:
            with await bridges.service(SERVICE).request("use", 5, int, buffers=buffers) as answer:
                assert answer.value == 15
        assert (counter.value, progress.percent, flag.is_set) == (15, 20.0, True)


@pytest.mark.parametrize(
    ("kind", "backing"), [("thread", "atomics"), ("process", "atomics"), ("process", "owner")]
)
async def test_one_cancellation_stops_tasks_of_several_workers(backing: Backing, kind: Kind) -> None:
    outcomes: list[Any] = []
    with SharedCancellation(backing=backing) as cancellation, SharedCounter(backing=backing) as begun:
        settings = BridgeSettings(kind=kind, worker_count=2)
        async with open_bridges(settings) as bridges:
            bench = bridges.service(SERVICE)

            async def ask() -> None:
                try:
                    await bench.request(
                        "until_cancelled", None, int, buffers=[cancellation.get_buffer(), begun.get_buffer()]
                    )
                except TaskCancelled:
                    outcomes.append("cancelled")

            with anyio.fail_after(LIMIT_S):
                async with anyio.create_task_group() as group:
                    for _ in range(2):
                        group.start_soon(ask)
                    async with begun.subscribe(min_interval_s=0.0) as values:
                        async for value in values:
                            if value == 2:
                                break
                    cancellation.set()
    assert outcomes == ["cancelled"] * 2

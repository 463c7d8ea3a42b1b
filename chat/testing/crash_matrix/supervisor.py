"""Starts the processes of the matrix, does to them what their fates say, and starts them again, until all is done.

Processes come from a fork server that has everything imported, so a new one is there in milliseconds and a run has
hundreds of kills. When all actions were acknowledged and the server has seen them, nothing more is done to anybody: the
last processes end by themselves when the queue is empty.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from chat.testing.crash_matrix import bad_server, fates, sender
from chat.testing.crash_matrix.ledger import notes, path_of, stored_count
from chat.testing.crash_matrix.line import open_line
from chat.testing.crash_matrix.plan import FOLLOWER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import ForkServerProcess

    from chat.testing.crash_matrix.fates import Fate
    from chat.testing.crash_matrix.line import Line
    from chat.testing.crash_matrix.plan import Plan

_LOOK_S = 0.25
_STOP_S = 20.0
"""How long a process may take to end after SIGTERM."""
_CALM_S = 60.0
"""How long the last processes may take to empty the queue."""
_SERVER_LIVES_S = (1.0, 8.0)
_SERVER_IS_AWAY_S = 0.3
_MOST_BROKEN_COUNT = 20
"""Processes that end on their own; after so many there is no point in going on."""
_SERVER = "server"
_LOADED_LATE = (
    "apsw",
    "uvloop",
    "anyio._backends._asyncio",
    "storage.sqlite.service",
    "storage.sqlite.writer",
)
"""What a queue imports only when it is opened, each time for as long as everything else takes."""


class Tally:
    """What was done to the processes, and what they did that they should not have."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        """By the step, or `any moment`."""
        self.wrong: list[str] = []


class Supervisor:
    """One run of the matrix, in the present folder; `run` is its task."""

    def __init__(self, plan: Plan, on_progress: Callable[[int, int], None]) -> None:
        self.tally = Tally()
        self._plan = plan
        self._on_progress = on_progress
        self._chance = Random(plan.seed)  # noqa: S311 - no secret
        self._folder = str(Path.cwd())
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([sender.__name__, bad_server.__name__, *_LOADED_LATE])
        self._lifeline, self._held_end = self._context.Pipe(duplex=False)
        self._calm = anyio.Event()
        self._is_over = False
        self._alive: set[ForkServerProcess] = set()
        self._unguarded_count = sum(action.kind != "guarded" for action in plan.all())

    async def run(self) -> Tally:
        """Do all that the plan says; whatever happens, no process is left when this returns."""
        try:
            async with open_line("supervisor") as line, anyio.create_task_group() as group:
                group.start_soon(self._keep_server)
                async with anyio.create_task_group() as senders:
                    for each in self._plan.senders():
                        senders.start_soon(self._keep, each)
                    with anyio.move_on_after(self._plan.limit_s):
                        await self._until_delivered(line)
                    await self._calm_down(line)
                    group.start_soon(self._hurry)
                group.cancel_scope.cancel()
        finally:
            for process in list(self._alive):
                process.kill()
                process.join()
            self._lifeline.close()
            self._held_end.close()
        return self.tally

    # -- when it is over ------------------------------------------------------------------------------------------

    async def _until_delivered(self, line: Line) -> None:
        while len(self.tally.wrong) < _MOST_BROKEN_COUNT:
            stored = await anyio.to_thread.run_sync(self._stored_count)
            settled = await line.insist("progress")
            self._on_progress(stored, settled)
            if stored == self._plan.action_count and settled >= self._unguarded_count:
                return
            await anyio.sleep(_LOOK_S)

    def _stored_count(self) -> int:
        return sum(stored_count(notes(Path(path_of(each)))) for each in self._plan.senders())

    async def _calm_down(self, line: Line) -> None:
        self._calm.set()
        await line.insist("be fair")
        await anyio.Path(sender.CALM).touch()

    async def _hurry(self) -> None:
        """End the last processes if they do not end by themselves."""
        await anyio.sleep(_CALM_S)
        self._is_over = True
        for process in list(self._alive):
            if process.name != _SERVER:
                self.tally.wrong.append(f"{process.name} did not come to an end")
                process.kill()

    # -- processes ------------------------------------------------------------------------------------------------

    async def _keep(self, name: str) -> None:
        """Have `name` run again and again, and at last undisturbed."""
        number = 0
        while True:
            number += 1
            fate = fates.SPARED
            if self._plan.is_rough and not self._calm.is_set():
                fate = fates.drawn(
                    self._chance,
                    number,
                    delivers=name != FOLLOWER,
                    longest_s=self._plan.longest_life_s,
                    lease_s=self._plan.lease_s,
                )
            with self._started(name, number, fate) as process:
                await self._suffer(process, fate)
            has_ended_well = self._calm.is_set() and process.exitcode == 0
            if has_ended_well or self._is_over or len(self.tally.wrong) >= 2 * _MOST_BROKEN_COUNT:
                return

    @contextmanager
    def _started(self, name: str, number: int, fate: Fate) -> Iterator[ForkServerProcess]:
        run = sender.Run(plan=self._plan, sender=name, number=number, step=fate.step, nth=fate.nth)
        process = self._context.Process(
            target=sender.main, args=(self._folder, run, self._lifeline), name=f"{name}#{number}", daemon=True
        )
        process.start()
        self._alive.add(process)
        self.tally.done["starts"] += 1
        yield process
        process.join()
        self._alive.discard(process)

    async def _suffer(self, process: ForkServerProcess, fate: Fate) -> None:
        """Do to `process` what its fate says, and return when it is gone."""
        if fate.kind == "none":
            await _ended(process, None)
            if process.exitcode != 0 and not self._is_over:
                self._went_wrong(process)
            return
        if await _ended(process, fate.after_s):
            self._ended_early(process, fate)
            return
        if fate.kind == "freeze":
            os.kill(_pid(process), signal.SIGSTOP)
            await anyio.sleep(fate.frozen_s)
            os.kill(_pid(process), signal.SIGCONT)
            self.tally.done["freezes"] += 1
            if await _ended(process, fate.lives_on_s):
                self._ended_early(process, fate)
                return
        if fate.kind == "stop":
            await self._stop(process)
        else:
            process.kill()
            await _ended(process, None)
            self.tally.kills["any moment"] += 1

    async def _stop(self, process: ForkServerProcess) -> None:
        process.terminate()
        if not await _ended(process, _STOP_S):
            self.tally.wrong.append(f"{process.name} did not stop in {_STOP_S:.0f} s after SIGTERM")
            process.kill()
            await _ended(process, None)
        elif process.exitcode not in {0, -signal.SIGTERM}:
            self._went_wrong(process)
        self.tally.done["stops"] += 1

    def _ended_early(self, process: ForkServerProcess, fate: Fate) -> None:
        if fate.kind == "crash" and process.exitcode == -signal.SIGKILL:
            self.tally.kills[fate.step or ""] += 1
        elif process.exitcode != 0 or not self._calm.is_set():
            self._went_wrong(process)

    def _went_wrong(self, process: ForkServerProcess) -> None:
        self.tally.wrong.append(f"{process.name} ended by itself with {process.exitcode}")

    # -- the server -----------------------------------------------------------------------------------------------

    async def _keep_server(self) -> None:
        number = 0
        while True:
            number += 1
            is_rough = self._plan.is_rough and not self._calm.is_set()
            process = self._context.Process(
                target=bad_server.main,
                args=(self._folder, f"{self._plan.seed}#{number}", is_rough, self._lifeline),
                name=_SERVER,
                daemon=True,
            )
            process.start()
            self._alive.add(process)
            life_s = self._chance.uniform(*_SERVER_LIVES_S) if is_rough else None
            has_ended = await _ended(process, life_s)
            if not has_ended and self._calm.is_set():
                has_ended = await _ended(process, None)
            if has_ended:
                self.tally.wrong.append(f"the server ended by itself with {process.exitcode}")
            else:
                process.kill()
                await _ended(process, None)
                self.tally.kills["the server"] += 1
            self._alive.discard(process)
            await anyio.sleep(self._chance.uniform(0.0, _SERVER_IS_AWAY_S))


def _pid(process: ForkServerProcess) -> int:
    assert process.pid is not None  # noqa: S101 - it was started
    return process.pid


async def _ended(process: ForkServerProcess, within_s: float | None) -> bool:
    """Return whether `process` has ended, at the latest after so long."""
    with anyio.move_on_after(within_s):
        await anyio.wait_readable(process.sentinel)
        process.join()
        return True
    return False

"""Any interleaving of what programs, processes, servers and clocks do keeps what the queue promises.

The suite looks at the same few examples each time; `QUEUE_MACHINE_EXAMPLES=1000 pytest -k interleaving` looks for new
ones. What it finds is not made smaller: each step is quick to read, and slow to repeat.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from chat.queue import payloads
from chat.queue.action_queue import open_queue
from chat.testing import ManualClock
from tests.support.queue_world import OUTCOMES, SETTINGS, Process, World

EXAMPLES_COUNT = int(os.environ.get("QUEUE_MACHINE_EXAMPLES", "0"))
FEW_EXAMPLES_COUNT = 10
STEPS_COUNT = 40

MOMENTS = ("before the lease ends", "while it is frozen", "after it has thawed")

numbers = st.integers(0, 1_000)
rooms = st.sampled_from("ab")
seconds = st.sampled_from([0.1, 0.5, 1.0, 2.0, 5.0, 31.0, 61.0, 101.0, 301.0])


def about(message_id: str, kind: int, number: int) -> Any:
    """Return an action about a message, or one of the others that may be coalesced."""
    where: dict[str, Any] = {"room_id": "a", "message_id": message_id}
    space: dict[str, Any] = {"space_id": "s"}
    made: list[Any] = [
        payloads.EditMessage(content=f"{number}", **where),
        payloads.DeleteMessage(**where),
        payloads.React(emoji="+1", is_on=number % 2 == 0, **where),
        payloads.PinMessage(**where),
        payloads.UnpinMessage(**where),
        payloads.SaveUserConfig(fields={f"f{number % 3}": number}),
        payloads.UpdateSpace(fields={f"f{number % 3}": number}, **space),
        payloads.JoinSpace(was=None if number % 2 else False, **space),
        payloads.LeaveSpace(**space),
        payloads.KickUser(user_id="u", **space),
        payloads.SyncSpaceKeys(keys={"s": f"{number}"}, version=number + 1),
    ]
    return made[kind % len(made)]


class QueueMachine(RuleBasedStateMachine):
    """Does one thing after another, waits each time until nothing moves, and looks at the file.

    A rule that can do nothing now does nothing. Preconditions would have to be the same each time, and how far a process
    is when it is frozen is up to its threads.
    """

    fresh: Path
    """A new queue's file; each example begins with a copy, which takes a tenth of the time."""

    @initialize(count=st.integers(1, 2))
    def begin(self, count: int) -> None:
        self.loop = asyncio.Runner()
        self.folder = Path(mkdtemp(prefix="queue-machine-"))
        shutil.copy(self.fresh, self.folder / "queue.db")
        self.number = 0
        self.boots = 1
        self.world = World(self.folder / "queue.db")
        for _ in range(count):
            self.loop.run(self.world.start())

    def settle(self) -> None:
        self.loop.run(self.world.settle())

    def working(self, which: int) -> Process:
        return self.world.working[which % len(self.world.working)]

    def known(self, which: int) -> str:
        told = self.world.told
        return told[-1 - which % len(told)] if told else "nobody"

    # -- what programs do ------------------------------------------------------------------------------------------

    @rule(which=numbers, room=rooms, count=st.integers(1, 4), attempts=st.sampled_from([None, None, 1]))
    def send(self, which: int, room: str, count: int, attempts: int | None) -> None:
        if not self.world.working:
            return

        async def put() -> None:
            for _ in range(count):
                self.number += 1
                sent = payloads.SendMessage(room_id=room, content=f"{self.number}")
                self.world.put(self.working(which), sent, max_attempts=attempts)
            await self.world.settle()

        self.loop.run(put())

    @rule(which=numbers, needed=numbers, delay_s=st.sampled_from([None, 0.0, 3.0, 90.0]))
    def send_later(self, which: int, needed: int, delay_s: float | None) -> None:
        if not self.world.working:
            return

        async def put() -> None:
            self.number += 1
            sent = payloads.SendMessage(room_id="a", content=f"{self.number}")
            after = [self.known(needed)]
            client_id = self.world.put(self.working(which), sent, after=after, delay_s=delay_s)
            if client_id is not None:
                self.world.needing.add(client_id)
            await self.world.settle()

        self.loop.run(put())

    @rule(which=numbers, chosen=numbers, kind=numbers, is_at_once=st.booleans())
    def do_something_else(self, which: int, chosen: int, kind: int, is_at_once: bool) -> None:
        if not self.world.working:
            return

        async def put() -> None:
            self.number += 1
            payload = about(self.known(chosen), kind, self.number)
            self.world.put(self.working(which), payload, delay_s=0.0 if is_at_once else None)
            await self.world.settle()

        self.loop.run(put())

    @rule(which=numbers, chosen=numbers)
    def send_again_by_a_double_click(self, which: int, chosen: int) -> None:
        if not (self.world.working and self.world.stored):
            return

        async def put() -> None:
            client_id = sorted(self.world.stored)[chosen % len(self.world.stored)]
            self.working(which).queue.put(self.world.stored[client_id], client_id=client_id)
            await self.world.settle()

        self.loop.run(put())

    @rule(which=numbers, chosen=numbers, what=st.sampled_from(["cancel", "retry", "amend", "retry all"]))
    def change_by_hand(self, which: int, chosen: int, what: str) -> None:
        if not (self.world.working and self.world.told):
            return
        process, client_id, calls = self.working(which), self.known(chosen), self.world.server.calls
        if calls and chosen % 2:
            client_id = calls[chosen % len(calls)].delivery.client_id

        async def change() -> None:
            if what == "cancel":
                self.world.begin(self.world.cancel(process, client_id))
            elif what == "retry":
                self.world.begin(process.queue.retry(client_id))
            elif what == "retry all":
                self.world.begin(process.queue.retry_failed())
            else:
                amended = payloads.SendMessage(room_id="a", content="amended")
                self.world.begin(process.queue.amend(client_id, amended))
            await self.world.settle()

        self.loop.run(change())

    @rule(which=numbers, what=st.sampled_from(["pause", "resume", "log in", "offline", "online"]), room=rooms)
    def switch(self, which: int, what: str, room: str) -> None:
        if not self.world.working:
            return
        queue = self.working(which).queue

        async def switch() -> None:
            if what == "pause":
                self.world.begin(queue.pause_lane(f"messages//{room}"))
            elif what == "resume":
                self.world.begin(queue.resume_lane(f"messages//{room}"))
            elif what == "log in":
                self.world.begin(queue.resume_account())
            elif what == "offline":
                queue.go_offline()
            else:
                queue.go_online()
                queue.go_online()
            await self.world.settle()

        self.loop.run(switch())

    # -- what the server does --------------------------------------------------------------------------------------

    @rule(which=numbers, outcome=st.sampled_from(["accepted"] * 6 + list(OUTCOMES)))
    def answer(self, which: int, outcome: str) -> None:
        if not self.world.server.calls:
            return

        async def say() -> None:
            calls = self.world.server.calls
            self.world.server.answer(calls[which % len(calls)], outcome)
            await self.world.settle()

        self.loop.run(say())

    @rule(outcome=st.sampled_from(["server error", "unreachable", "lost"]))
    def fail_the_next_question(self, outcome: str) -> None:
        self.world.server.failing_questions.append(outcome)

    # -- what happens to processes and clocks ----------------------------------------------------------------------

    @rule()
    def start(self) -> None:
        if len(self.world.working) >= 3:
            return
        self.loop.run(self.world.start())

    @rule(which=numbers, after_one=st.booleans())
    def kill(self, which: int, after_one: bool) -> None:
        if not self.world.working:
            return
        self.working(which).kill(after_one=after_one)
        self.settle()

    @rule(which=numbers, after_one=st.booleans())
    def freeze(self, which: int, after_one: bool) -> None:
        if not self.world.working:
            return
        self.working(which).gate.shut(after_one=after_one)

    @rule(which=numbers)
    def thaw(self, which: int) -> None:
        if not self.world.frozen:
            return
        frozen = self.world.frozen
        self.loop.run(self.world.thaw(frozen[which % len(frozen)]))

    @rule(which=numbers, outcome=st.sampled_from(OUTCOMES), moment=st.sampled_from(MOMENTS))
    def freeze_past_a_lease(self, which: int, outcome: str, moment: str) -> None:
        """A worker that calls is frozen, another one takes over, and the first one comes back with its answer."""
        if not self.world.working:
            return
        process = self.working(which)

        async def go_by() -> None:
            process.queue.go_online()
            self.number += 1
            self.world.put(process, payloads.SendMessage(room_id=f"c{self.number}", content=f"{self.number}"))
            await self.world.settle()
            call = next((each for each in self.world.server.calls if each.process is process), None)
            if call is None or call.is_orphan:
                return
            process.gate.shut()
            if moment == "before the lease ends":
                self.world.server.answer(call, outcome)
            if not self.world.working:
                await self.world.start()
            for other in self.world.working:
                other.queue.go_online()
            self.world.clock.advance(61)
            await self.world.settle()
            if moment == "while it is frozen":
                self.world.server.answer(call, outcome)
            await self.world.thaw(process)
            if moment == "after it has thawed" and not call.is_orphan:
                before = self.world.claimed_by_others(process)
                self.world.server.answer(call, outcome)
                await self.world.settle()
                self.world.audit.check_untouched(before)

        self.loop.run(go_by())

    @rule(which=numbers)
    def stop(self, which: int) -> None:
        if not self.world.working:
            return

        async def stop() -> None:
            await self.working(which).stop()
            await self.world.settle()

        self.loop.run(stop())

    @rule(by_s=seconds)
    def let_time_pass(self, by_s: float) -> None:
        async def pass_time() -> None:
            self.world.clock.advance(by_s)
            await self.world.settle()

        self.loop.run(pass_time())

    @rule(by_s=st.sampled_from([-90_000.0, -5.0, 5.0, 3_000.0]))
    def set_the_wall_clock(self, by_s: float) -> None:
        self.world.clock.jump(by_s)

    @rule(uptime_s=st.sampled_from([1.0, 10_000.0]))
    def reboot(self, uptime_s: float) -> None:
        for process in self.world.processes:
            if process.is_alive:
                process.kill(after_one=False)
        self.boots += 1
        before, clock = self.world.clock, ManualClock(f"boot {self.boots}")
        clock.advance(uptime_s - clock.boot_ms() / 1000)
        clock.jump((before.wall_ms() - clock.wall_ms()) / 1000 + 5)
        self.world.clock = clock
        self.loop.run(self.world.start())

    # -- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def all_is_as_promised(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    @override
    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.loop.run(self.world.finish())
        finally:
            self.loop.run(self.world.end())
            self.loop.close()
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def fresh_queue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fresh") / "queue.db"

    async def make() -> None:
        async with open_queue(path, SETTINGS, clock=ManualClock()):
            pass

    anyio.run(make)
    return path


@pytest.mark.timeout(120 + 4 * EXAMPLES_COUNT)
def test_any_interleaving_keeps_what_the_queue_promises(fresh_queue: Path) -> None:
    QueueMachine.fresh = fresh_queue
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=EXAMPLES_COUNT or FEW_EXAMPLES_COUNT,
            derandomize=not EXAMPLES_COUNT,
            database=None,
            phases=[Phase.generate],
            stateful_step_count=STEPS_COUNT,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

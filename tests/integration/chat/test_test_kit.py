"""What users test their programs with."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

import chat.testing
from chat.errors import AnswerLost, Transient
from chat.queue.handlers import Delivery
from chat.testing import STEPS, Accept, CrashAt, Hold, LoseAnswer, ManualClock, ScriptedServer
from tests.support.chat_queue import message, opened, passing_time
from tests.support.waiting import LIMIT_S

if TYPE_CHECKING:
    from pathlib import Path

CRASH = """
import sys
import anyio
from chat.queue.action_queue import open_queue
from chat.queue.payloads import SendMessage
from chat.testing import CrashAt, ScriptedServer

async def live(path, step):
    async with open_queue(path, on_step=CrashAt(step, 2)) as queue:
        queue.handle_all(ScriptedServer())
        for number in range(20):
            await (await queue.enqueue(SendMessage(room_id="a", content=str(number)))).sent()

anyio.run(live, *sys.argv[1:])
"""


def test_the_example_in_the_manual_runs() -> None:
    found = re.search(r"```python\n(.*?)```", chat.testing.__doc__ or "", re.DOTALL)
    assert found is not None
    exec(found.group(1), {})  # noqa: S102 - our own example


@pytest.mark.parametrize("step", STEPS)
def test_a_queue_crashes_at_the_step_that_was_asked_for(tmp_path: Path, step: str) -> None:
    crashed = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", CRASH, tmp_path / "queue.db", step],
        check=False,
        capture_output=True,
        timeout=40,
    )
    assert crashed.returncode == -signal.SIGKILL


def test_nothing_happens_before_the_step_was_come_to_often_enough() -> None:
    crash = CrashAt("added", 3)
    for step in ("added", "turning", "turned", "added"):
        crash(step)


def test_a_step_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'nowhere' is no step"):
        CrashAt("nowhere")


async def test_a_script_is_followed_one_step_a_call_and_then_the_rule(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Accept({"seq": 7}))
        bench.server.always(lambda delivery: Accept({"number": delivery.payload.content}))
        first = await (await bench.queue.enqueue(message("1"))).sent()
        second = await (await bench.queue.enqueue(message("2"))).sent()
        bench.server.always(None)
        third = await (await bench.queue.enqueue(message("3"))).sent()

    assert (first, second, third) == ({"seq": 7}, {"number": "2"}, {"seq": 3})


async def test_a_held_call_ends_as_it_says_once_it_is_released(tmp_path: Path) -> None:
    release = anyio.Event()
    async with opened(tmp_path, lease_s=3_600) as bench:
        bench.server.script(Hold(release, then=LoseAnswer(has_effect=False)))
        receipt = await bench.queue.enqueue(message("1"))
        with anyio.fail_after(LIMIT_S):
            await bench.server.until_called()
            assert bench.server.effects == []
            release.set()
            await bench.until("uncertain", receipt.client_id)
        bench.server.ask_steps.append(Transient(status=500))  # the first question fails
        with anyio.fail_after(LIMIT_S):
            async with passing_time(bench.clock):
                await receipt.sent()

    assert (len(bench.server.calls), bench.contents()) == (2, ["1"])
    assert set(bench.server.asked) == {receipt.client_id}


async def test_a_lost_answer_is_told_as_such() -> None:
    server = ScriptedServer()
    server.script(LoseAnswer())
    async with anyio.create_task_group() as group:
        group.start_soon(server.until_called)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(AnswerLost):
            await server.deliver(_delivery("1"))
    again = await server.deliver(_delivery("1"))

    assert (len(server.calls), len(server.effects), again) == (2, 1, {"seq": 1})


def test_a_wall_clock_may_jump_without_time_going_by() -> None:
    clock = ManualClock()
    wall_ms, boot_ms = clock.wall_ms(), clock.boot_ms()
    clock.jump(seconds=-3600)

    assert (clock.wall_ms() - wall_ms, clock.boot_ms() - boot_ms) == (-3_600_000, 0)


def _delivery(client_id: str) -> Delivery:
    return Delivery(client_id, "send-message", message("1"), "", 1, 0)

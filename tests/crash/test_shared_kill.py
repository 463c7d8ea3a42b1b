"""Users of shared state that are killed at any moment lose nothing, hold up nobody and leave nothing behind."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workers.shared.cells import BACKINGS, Backing
from workers.shared.counter import SharedCounter
from workers.shared.errors import OwnerLost
from workers.shared.flag import SharedFlag
from workers.shared.progress import SharedProgress

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
KILLS_COUNT: dict[Backing, int] = {"atomics": 150, "lock": 150, "owner": 100}
AT_ONCE_COUNT = 4
STOPS_COUNT = 50
LIMIT_S = 50.0
SOON_S = 10.0


@pytest.fixture(params=BACKINGS)
def backing(request: pytest.FixtureRequest) -> Backing:
    chosen: Backing = request.param
    return chosen


def kill_many(what: str, buffer: bytes, count: int, path: str = "") -> None:
    """Kill so many users of a shared object, and see the killer end."""
    plan = f"{what},{path},{count},{AT_ONCE_COUNT},{count}"
    ran = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-m", "tests.support.shared_child", "kill_many", buffer.hex(), plan],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


def within(work: Callable[[], object]) -> bool:
    """Return whether `work` ends soon: nobody who was killed holds it up."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(SOON_S)
    return not thread.is_alive()


def fd_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_counter_has_what_was_added_by_those_who_were_killed(backing: Backing, tmp_path: Path) -> None:
    count = KILLS_COUNT[backing]
    file = tmp_path / "tally"
    file.write_bytes(bytes(16 * count))
    with SharedCounter(backing=backing) as counter:
        buffer = counter.get_buffer()
        before = fd_count(), threading.active_count()
        kill_many("tally", buffer, count, str(file))
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as noted:
            words = memoryview(noted).cast("q")
            begun, done = sum(words[0::2]), sum(words[1::2])
            words.release()
        assert done > count
        assert done <= counter.value <= begun <= done + count
        assert within(counter.add)
        if backing == "owner":  # its thread sees the ends of the last links a moment later
            assert within(lambda: wait_for_fds(before[0]))
        assert (fd_count(), threading.active_count()) == before


def wait_for_fds(count: int) -> None:
    pause = threading.Event()
    while fd_count() > count:
        pause.wait(0.01)


def test_a_flag_wakes_those_who_live_after_those_who_waited_were_killed(backing: Backing) -> None:
    with SharedFlag(backing=backing) as flag:
        kill_many("churn", flag.get_buffer(), KILLS_COUNT[backing])
        flag.clear()
        waiting = threading.Thread(target=flag.wait, daemon=True)
        waiting.start()
        assert within(flag.set)
        waiting.join(SOON_S)
        assert not waiting.is_alive()


def test_a_progress_is_whole_after_those_who_reset_it_were_killed(backing: Backing) -> None:
    count = KILLS_COUNT[backing]
    with SharedProgress(backing=backing) as progress:
        kill_many("remake", progress.get_buffer(), count)
        state = progress.state
        assert state.total is not None
        assert 0 <= state.total < count
        assert 0 <= state.done <= AT_ONCE_COUNT * 2
        progress.reset(8)
        assert within(lambda: progress.add(2))
        assert progress.percent == 25.0


def test_a_user_that_is_stopped_holds_up_nobody_where_there_are_atomics(tmp_path: Path) -> None:
    file = tmp_path / "tally"
    file.write_bytes(bytes(16))
    pause = threading.Event()
    with SharedCounter(backing="atomics") as counter:
        command = [sys.executable, "-m", "tests.support.shared_child", "tally", counter.get_buffer().hex()]
        user = subprocess.Popen([*command, f"{file}:0"], cwd=ROOT)  # noqa: S603 - our own code
        try:
            for _ in range(STOPS_COUNT):
                assert within(partial(wait_for_more, counter, counter.value))
                user.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, user.pid, os.WSTOPPED | os.WNOWAIT)
                stopped_at = counter.value
                assert within(counter.add)
                assert counter.value == stopped_at + 1
                user.send_signal(signal.SIGCONT)
                pause.wait(0.001)
        finally:
            user.kill()
            user.wait()


def wait_for_more(counter: SharedCounter, seen: int) -> None:
    pause = threading.Event()
    while counter.value == seen:
        pause.wait(0.001)


def test_a_counter_whose_owner_is_killed_says_so_and_one_in_memory_lives_on() -> None:
    script = (
        "import sys\n"
        "from workers.shared.counter import SharedCounter as C\n"
        "made = [C(7, backing=each) for each in ('atomics', 'owner')]\n"
        "print(*(each.get_buffer().hex() for each in made), flush=True)\n"
        "sys.stdin.readline()\n"
    )
    owner = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    memory, asked = (
        SharedCounter.from_buffer(bytes.fromhex(each)) for each in owner.stdout.readline().split()
    )
    assert (memory.add(), asked.add()) == (8, 8)
    owner.kill()
    owner.communicate()
    assert memory.add() == 9
    with pytest.raises(OwnerLost):
        asked.add()
    memory.close()
    asked.close()

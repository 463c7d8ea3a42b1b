"""A process that uses shared state as it is told: `python -m tests.support.shared_child COMMAND ARGUMENTS`."""

from __future__ import annotations

import mmap
import os
import random
import select
import signal
import sys
from typing import TYPE_CHECKING

from workers.shared import cells
from workers.shared.board import SharedBoard
from workers.shared.cancellation import SharedCancellation
from workers.shared.counter import SharedCounter
from workers.shared.flag import SharedFlag
from workers.shared.progress import SharedProgress

if TYPE_CHECKING:
    from collections.abc import Callable

FAR_S = 600.0
VICTIM_S = 60


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def count(buffer: bytes, times: str) -> None:
    """Add 3, take 1 away, and count one up by compare-and-swap, so many times; then say so."""
    counter = SharedCounter.from_buffer(buffer)
    say("ready")
    sys.stdin.readline()
    for _ in range(int(times)):
        counter.add(3)
        counter.subtract()
        while not counter.compare_and_swap(seen := counter.value, seen + 1):
            pass
    say("done")


def toggle(buffer: bytes, times: str) -> None:
    flag = SharedFlag.from_buffer(buffer)
    say("ready")
    sys.stdin.readline()
    for _ in range(int(times)):
        flag.toggle()
    say("done")


def work(buffer: bytes, times: str) -> None:
    """Add to a progress that others reset."""
    progress = SharedProgress.from_buffer(buffer)
    say("ready")
    sys.stdin.readline()
    for _ in range(int(times)):
        progress.add()
    say("done")


def wait(buffer: bytes, _: str) -> None:
    """Wait until a flag is set, then until it is cleared, woken and by no safety net."""
    cells.NET_S = FAR_S
    flag = SharedFlag.from_buffer(buffer)
    say("ready")
    flag.wait()
    say("set")
    flag.wait(is_set=False)
    say("clear")


def stop(buffer: bytes, _: str) -> None:
    cells.NET_S = FAR_S
    cancellation = SharedCancellation.from_buffer(buffer)
    say("ready")
    cancellation.wait()
    say("stopped")


def set_it(buffer: bytes, _: str) -> None:
    flag = SharedFlag.from_buffer(buffer)
    say("ready")
    for _ in sys.stdin:
        flag.toggle()
        say("toggled")


def follow(buffer: bytes, loop: str) -> None:
    """Follow a name of a board, changing it once."""
    import anyio  # noqa: PLC0415 - the other commands start sooner without it

    cells.NET_S = FAR_S

    async def main() -> None:
        board = SharedBoard.from_buffer(buffer)
        async with board.subscribe("name", min_interval_s=0.0) as changes:
            async for values in changes:
                say(values["name"])
                if values["name"] == "last":
                    return
                board.set("name", "last")

    anyio.run(main, backend=loop)


def tally(buffer: bytes, place: str) -> None:
    """Add for ever, noting before and after each addition, in a file, how many were begun and done."""
    path, index = place.rsplit(":", 1)
    fd = os.open(path, os.O_RDWR)
    words = memoryview(mmap.mmap(fd, 0)).cast("q")
    at = 2 * int(index)
    counter = SharedCounter.from_buffer(buffer)
    while True:
        words[at] += 1
        counter.add()
        words[at + 1] += 1


def churn(buffer: bytes, _: str) -> None:
    """Toggle a flag and wait on it a moment, for ever."""
    flag = SharedFlag.from_buffer(buffer)
    while True:
        flag.toggle()
        flag.wait(0.0005)


def remake(buffer: bytes, place: str) -> None:
    """Reset a progress and add to it, for ever."""
    progress = SharedProgress.from_buffer(buffer)
    total = int(place.rsplit(":", 1)[1])
    while True:
        progress.reset(total)
        progress.add()


VICTIMS = {"churn": churn, "remake": remake, "tally": tally}


def kill_many(buffer: bytes, plan: str) -> None:
    """Have so many victims do one thing, some at a time, and kill each at a moment that chance picks."""
    what, path, kills, at_once, seed = plan.split(",")
    chance = random.Random(int(seed))  # noqa: S311 - which moment, not whose secret
    alive: list[int] = []
    for number in range(int(kills)):
        pid = os.fork()  # of a process with one thread
        if not pid:
            signal.alarm(VICTIM_S)  # should nobody kill it
            VICTIMS[what](buffer, f"{path}:{number}")
        alive.append(pid)
        while len(alive) == int(at_once) or (alive and number == int(kills) - 1):
            select.select([], [], [], chance.uniform(0.0, 0.01))
            victim = alive.pop(chance.randrange(len(alive)))
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
    say("done")


COMMANDS: dict[str, Callable[[bytes, str], None]] = {
    "count": count,
    "follow": follow,
    "kill_many": kill_many,
    "set": set_it,
    "tally": tally,
    "stop": stop,
    "toggle": toggle,
    "wait": wait,
    "work": work,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](bytes.fromhex(sys.argv[2]), sys.argv[3])

"""Work on files that is killed at a step: a call of what SQLite, or the disk, is asked to do.

A process does it in children of its own, forked while it has one thread; `Dying` speaks to it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

from tests.support.command_line import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = frozenset(
    {"backup", "close", "execute", "fsync", "link", "open", "pragma", "rename", "replace", "step", "unlink", "wal_checkpoint"}
)  # fmt: skip
LIMIT_S = 50.0


def die_at(step: int) -> None:
    """Have this process kill itself when it is about to take that step, on this thread or on one that begins later."""
    taken = 0

    def look(_frame: Any, event: str, function: Any) -> None:
        nonlocal taken
        if event == "c_call" and function.__name__ in STEPS:
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(look)
    sys.setprofile(look)


def serve(work: Callable[..., object], *, load: Callable[[], object] = lambda: None) -> None:
    """Do `work` once for each line, `[step, *arguments]` in JSON, in a child that dies at that step; answer its exit code.

    `load` imports what is imported late, once for all children.
    """
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # where logs go
        load()
        for line in sys.stdin:
            step, *arguments = json.loads(line)
            child = os.fork()
            if child == 0:
                die_at(step)
                work(*arguments)
                sys.setprofile(None)
                os._exit(0)
            answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


class Dying:
    """A process that runs a module which calls `serve`."""

    def __init__(self, module: str) -> None:
        command = [sys.executable, "-m", module]
        self._process = subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=surroundings()
        )

    def work(self, step: int, *arguments: str | None) -> int:
        """Have the work done and killed at `step`; return its exit code, 0 if it has fewer steps."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([step, *arguments]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=LIMIT_S)

"""Gives files other keys in processes of its own, each of which kills itself at a step: a line in, an exit code out.

A line is `path old new step`, with paths of key files or `-`; a step is a call of what SQLite, or the disk, is asked to do.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from storage.file_keys import Key
from storage.sqlite.rekeying import RekeyParams, RekeyService
from workers import Task

STEPS = frozenset({"backup", "close", "execute", "fsync", "link", "open", "pragma", "rename", "replace", "step", "unlink"})  # fmt: skip


def key_in(path: str) -> Key | None:
    return None if path == "-" else Key(Path(path).read_bytes())


def die_at(step: int) -> None:
    """Have this process kill itself when it is about to take that step."""
    taken = 0

    def look(_frame: Any, event: str, function: Any) -> None:
        nonlocal taken
        if event == "c_call" and function.__name__ in STEPS:
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)


def main() -> None:
    for line in sys.stdin:
        path, old, new, step = line.split()
        params = RekeyParams(path=path, old=key_in(old), new=key_in(new))
        child = os.fork()
        if child == 0:
            die_at(int(step))
            RekeyService({}).rekey(params, Task())
            sys.setprofile(None)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()

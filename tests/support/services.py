"""Services for the tests of pools; each does one thing that a pool must cope with."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers import Body, Call, PortableError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Refused(PortableError):
    """What the test services raise on purpose."""


class BenchService:
    """Answers at once, waits until interrupted, dies, returns bodies: whatever its caller asks for."""

    def __init__(self, options: dict[str, Any]) -> None:
        if options.get("broken"):
            raise RuntimeError("this service can't be built")
        if "broken_mark" in options and Path(options["broken_mark"]).exists():
            raise RuntimeError("this service can't be built now")
        self._options = options
        self._interrupted = threading.Event()
        self._kept: dict[str, Any] = {}

    def run(self, call: Call) -> Any:
        return getattr(self, f"_{call.method}")(call.params)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        if "closed_mark" in self._options:
            os.truncate(self._options["closed_mark"], 1)

    def _echo(self, params: Any) -> Any:
        return params

    def _pid(self, _: Any) -> int:
        return os.getpid()

    def _modules(self, _: Any) -> list[str]:
        return sorted(sys.modules)

    def _refuse(self, params: Any) -> None:
        raise Refused("refused on purpose", **params)

    def _fail(self, _: Any) -> None:
        raise KeyError("a secret that no caller may see")

    def _body(self, params: list[Any]) -> Body:
        size, count = params
        return Body([bytes([index % 256]) * size for index in range(count)])

    def _unencodable(self, _: Any) -> Any:
        return object()

    def _keep(self, params: list[Any]) -> Any:
        name, value = params
        before, self._kept[name] = self._kept.get(name), value
        return before

    def _wait(self, params: Any) -> str:
        """Wait until interrupted or for `params` seconds; a file named in a list shows that it began."""
        seconds, mark = params if isinstance(params, list) else (params, None)
        if mark is not None:
            Path(mark).touch()
        self._interrupted.clear()
        if self._interrupted.wait(seconds):
            raise Refused("interrupted")
        return "waited"

    def _deaf(self, params: float) -> str:
        """Wait without looking at interrupts, as one long opcode does."""
        threading.Event().wait(params)
        return "waited"

    def _start_child(self, _: Any) -> int:
        """Start a process that would outlive this one."""
        return subprocess.Popen(["/bin/sleep", "60"]).pid

    def _die(self, _: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class SlowToBuild:
    """Is built once the file of its option `mark` is there."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._await(options["mark"])

    def run(self, call: Call) -> Any:
        if call.method == "deaf":
            self._await(call.params)
        return call.params

    def interrupt(self) -> None:
        """Do not listen."""

    def close(self) -> None:
        """Nothing is held."""

    def _await(self, mark: str) -> None:
        pause = threading.Event()
        while not Path(mark).exists():
            pause.wait(0.005)


class BatchBench:
    """A batch service that says which batch each call was in."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._batches_count = 0
        self._tended_count = 0
        self._interrupted = threading.Event()

    def run_batch(self, calls: Sequence[Call]) -> list[Any]:
        self._batches_count += 1
        outcomes: list[Any] = []
        for call in calls:
            if call.method == "refuse":
                outcomes.append(Refused("refused on purpose"))
            elif call.method == "wait":
                self._interrupted.clear()
                stopped = self._interrupted.wait(call.params)
                outcomes.append(Refused("interrupted") if stopped else "waited")
            elif call.method == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            elif call.method == "tended":
                outcomes.append(self._tended_count)
            else:
                outcomes.append([self._batches_count, len(calls), call.params])
        return outcomes

    def tend(self) -> None:
        self._tended_count += 1

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self._interrupted.set()


class GarbledService(BenchService):
    """Beside what `BenchService` does, it writes bytes of its caller's choice to its pool's sockets."""

    def _garble(self, params: list[Any]) -> str:
        which, data = params
        sockets = sorted(int(fd) for fd in os.listdir("/proc/self/fd") if _is_socket(int(fd)))  # noqa: PTH208
        os.write(sockets[which], data)
        return "garbled"

    def _mute(self, _: Any) -> None:
        """End without a word on any socket, by another way than a signal."""
        os._exit(3)


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False  # it was the one that listed the folder

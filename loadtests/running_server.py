"""A server in a process group of its own, for as long as a `with` block lasts: it answers at its start, and ends after.

On Linux it ends with the thread that started it too: what runs a load may be killed, and four servers outlived one by an hour.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STOP_S = 20.0
_LOOK_EVERY_S = 0.05
_LOG_TAIL_CHARS = 100_000
_SAID_CHARS = 3_000
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG: Final = 1


class ServerFailed(Exception):
    """A server did not start or ended by itself; the text holds the end of its log."""


@dataclass(kw_only=True)
class RunningServer:
    """A context manager that starts `command` and waits until it listens on `port`."""

    name: str
    command: Sequence[str]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    start_s: float = 30.0
    """How long it may take until it listens."""

    def __enter__(self) -> Self:
        self.launch()
        try:
            self.wait_until_it_listens()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.close()

    def launch(self) -> None:
        """Start it without waiting: several servers come up together so; each wants its `__exit__`."""
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(  # noqa: S603 - our own command lines
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **self.environment},
            start_new_session=True,
            preexec_fn=partial(_end_with, os.getpid()),  # noqa: PLW1509 - it takes no lock that a thread may hold
        )

    @property
    def pid(self) -> int:
        """The server's process, the root of its tree."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> int:
        """Ask it to end, and end it with all its children if it does not; return its exit code. May be called again."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait(_STOP_S)

    def log(self) -> str:
        """Return what it wrote; only the end of it where that is long."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-_LOG_TAIL_CHARS:]

    def wait_until_it_listens(self) -> None:
        """Return once it takes connections.

        Raises:
            ServerFailed: It ended, or did not listen in time.
        """
        until = time.monotonic() + self.start_s
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise ServerFailed(
                    f"{self.name} ended with {self._process.returncode}: {self.log()[-_SAID_CHARS:]}"
                )
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                select.select([], [], [], _LOOK_EVERY_S)
            else:
                return
        raise ServerFailed(
            f"{self.name} does not answer after {self.start_s:g} s: {self.log()[-_SAID_CHARS:]}"
        )


def _end_with(parent: int) -> None:
    """Have the kernel end this process when `parent` dies."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port

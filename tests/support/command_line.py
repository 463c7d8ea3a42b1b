"""The real command line: one-shot commands, in real processes or here, and servers that say where they listen."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import structlog
from click.testing import CliRunner

from dataserver.cli.root import root

COMMAND = [sys.executable, "-m", "dataserver"]
LIMIT_S = 50.0
"""Below the suite's limit for a test, so that a hanging command fails with what it said."""
STOP_LIMIT_S = 15.0
THREADS = {"SQLITE_WORKER_KIND": "thread"}
"""For a server whose kind of workers says nothing: six processes less, half of what it takes to start."""
_OURS = ("DATASERVER_", "SQLITE_", "USE_SQLITE", "USE_CHAT")


def surroundings(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings of ours (but for the flag the suite runs under)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    for flag in ("USE_SQLITE_WORKERS", "SQLITE_WORKER_KIND"):
        if flag in os.environ:
            kept[flag] = os.environ[flag]
    return kept | dict(extra or {})


def run(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; its output is text."""
    return subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=surroundings(environment),
    )


def called(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command as `run` does, but in this process, for a tenth of its cost; not on files of stdlib `sqlite3`."""
    kept = surroundings(environment)
    others: dict[str, str | None] = {name: None for name in os.environ if name not in kept}
    handlers, level, events = logging.root.handlers[:], logging.root.level, structlog.get_config()
    try:
        done = CliRunner().invoke(root, [str(each) for each in arguments], env=others | kept, input=typed)
    finally:  # the command's log went to the stderr of the runner, which is closed
        structlog.configure(**events)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    broken = ""
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        broken = "".join(traceback.format_exception(done.exception))
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr + broken)


def start(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a command with pipes to its output."""
    return subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(environment),
    )


def run_on_terminal(*arguments: str | Path, stream: Literal["stdout", "stderr"]) -> tuple[int, str, str]:
    """Run one command with one of its streams on a terminal; return its exit code, what that saw, and the other stream."""
    parent, child = pty.openpty()
    with tempfile.TemporaryFile() as other:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, *map(str, arguments)],
            stdout=child if stream == "stdout" else other,
            stderr=child if stream == "stderr" else other,
            env=surroundings(),
        )
        os.close(child)
        seen = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end of a terminal is closed
            while piece := os.read(parent, 65_536):
                seen += piece
        os.close(parent)
        code = process.wait(LIMIT_S)
        other.seek(0)
        return code, seen.decode(), other.read().decode()


@dataclass
class RunningServer:
    """A `dataserver serve` (or `demo`) that has said that it listens."""

    process: subprocess.Popen[str]
    url: str
    data_dir: Path
    said: list[str]
    """The lines on stderr until it listened."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """What it logged so far; the rest after `stop`."""

    @cached_property
    def first_token(self) -> str:
        """The token alone on stdout; only a first start and a demo print one."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    @property
    def headers(self) -> dict[str, str]:
        """What an administrator sends."""
        return {"Authorization": f"Bearer {self.first_token}"}

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Stop it and return its exit code."""
        self.process.send_signal(with_signal)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        assert self.process.stderr is not None
        self.events.extend(
            events_of(self.process.stderr.read())
        )  # not `communicate`: it would miss what is buffered
        return self.process.wait(LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(LIMIT_S)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def events_of(text: str) -> Iterator[dict[str, Any]]:
    """Yield the log events among the lines of `text`."""
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


@contextmanager
def serving(
    data_dir: Path,
    *arguments: str | Path,
    command: str = "serve",
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunningServer]:
    """Serve `data_dir` on a free port while the block runs."""
    process = start(command, "--data-dir", data_dir, "--port", "0", *arguments, environment=environment)
    events: list[dict[str, Any]] = []
    said: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        events.extend(events_of(line))
        if events and events[-1]["event"] == "server.started":
            break
    else:
        process.communicate(timeout=LIMIT_S)
        raise AssertionError(f"no server, exit code {process.returncode}:\n{''.join(said)}")
    with RunningServer(process, events[-1]["url"], data_dir, said, events) as server:
        yield server

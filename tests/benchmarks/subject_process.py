"""The benchmark's end of a candidate's process: an order goes in, figures come out, and no wait is without a limit."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

_START_S = 30.0
_STOP_S = 10.0
_LOG_TAIL_BYTES = 4000


class CandidateFailed(Exception):
    """The candidate's process ended, or did not answer in time; the text holds the end of its log."""


class SubjectProcess:
    """One candidate on its own copy of the file; a context manager that leaves no process behind."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "tests.benchmarks.subjects", name, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._pending = b""

    def __enter__(self) -> Self:
        self._answer(_START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, workload: str, *, limit_s: float = 60.0, **arguments: Any) -> dict[str, float]:
        """Run one workload and return its figures.

        Raises:
            CandidateFailed: No answer within `limit_s`, or the process ended; it is of no more use.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode({"workload": workload, **arguments}) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise CandidateFailed(f"{self.name} ended: {self._log_tail()}") from error
        answer: dict[str, float] = msgspec.json.decode(self._answer(limit_s))
        return answer

    def dismiss(self) -> None:
        """Tell the process to end, by the end of its input; `close` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def close(self) -> None:
        """End the process, by force if it does not follow; nothing of it is left."""
        assert self._process.stdout is not None
        self.dismiss()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)
        self._process.stdout.close()
        self._log.close()

    def _answer(self, limit_s: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        until = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise CandidateFailed(f"{self.name} gave no answer in {limit_s:g} s: {self._log_tail()}")
                if not (data := os.read(descriptor, 65536)):
                    raise CandidateFailed(f"{self.name} ended: {self._log_tail()}")
                self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _log_tail(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL_BYTES))
        return self._log.read().decode(errors="replace")

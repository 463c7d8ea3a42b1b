"""One run: the server on a data folder with its workers on or off, Locust against it, and its metrics beside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadtests.running_server import RunningServer, free_port
from loadtests.samples import Answered, Run, read_lines
from loadtests.watching import Watch

_HERE = Path(__file__).parent
_PROGRAM = (sys.executable, "-m", "dataserver")
_FILL_S = 180.0
_BESIDE_RUN_S = 120.0  # what Locust may take beyond the run: its start, the survey, its end
_TOKEN_S = 60.0
_SAID_CHARS = 2_000


class LoadRunFailed(Exception):
    """A part of the run did not do its work; the text says which and shows the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the server is put under, and which server."""

    seconds: int
    visitor_count: int
    rate_per_s: float
    """Of all visitors together."""
    server: str
    workers: str
    """The kind of the workers while they are on."""


def fill_with_demo(folder: Path) -> str:
    """Let the demo fill the folder, and return where its tables come from, in its own words."""
    port = free_port()
    command = [*_PROGRAM, "demo", "--data-dir", str(folder), "--port", str(port)]
    with RunningServer(name="dataserver demo", command=command, port=port, start_s=_FILL_S) as server:
        server.stop()
        told = re.search("tables come from (.+)", server.log())
    return told[1] if told else "the demo's tables"


def admin_token(folder: Path) -> str:
    """Make a token for the folder's server.

    Raises:
        LoadRunFailed: There is none.
    """
    command = [*_PROGRAM, "token", "create", "--role", "admin", "--name", "load", "--data-dir", str(folder)]
    made = subprocess.run(command, capture_output=True, check=False, timeout=_TOKEN_S, text=True)  # noqa: S603 - our own program
    if made.returncode != 0:
        raise LoadRunFailed(f"no token: {made.stderr}")
    return made.stdout.strip()


def run_once(folder: Path, token: str, load: Load, *, uses_workers: bool) -> Run:
    """Serve the folder, put it under the load, and return what came of it.

    Raises:
        LoadRunFailed: Locust or the server did not end as they should.
        ServerFailed: The server did not start.
    """
    port = free_port()
    command = [
        *_PROGRAM, "serve", "--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port),
        "--server", load.server,
    ]  # fmt: skip
    environment = {"USE_SQLITE_WORKERS": str(int(uses_workers)), "SQLITE_WORKER_KIND": load.workers}
    with RunningServer(
        name="dataserver serve", command=command, port=port, environment=environment
    ) as server:
        with Watch(server.url, token) as watch:
            answered = _locust(server.url, token, load)
        code = server.stop()
        if code != 0:
            raise LoadRunFailed(f"the server ended with {code}: {server.log()[-_SAID_CHARS:]}")
    begun_s = min(each.begun_s for each in answered)
    ended_s = max(each.begun_s for each in answered)
    return Run(
        label=f"workers {'on' if uses_workers else 'off'}",
        begun_s=begun_s,
        ended_s=ended_s,
        offered_per_s=load.rate_per_s,
        answered=answered,
        readings=[reading for reading in watch.readings if begun_s <= reading.at_s <= ended_s],
        pool=watch.pool,
        machine_late_s=watch.late_s,
    )


def _locust(url: str, token: str, load: Load) -> list[Answered]:
    with tempfile.TemporaryDirectory(prefix="dataserver-load-") as folder:
        samples = Path(folder) / "samples.ndjson"
        command = [
            sys.executable, "-m", "locust", "-f", str(_HERE / "locustfile.py"), "--headless", "--only-summary",
            "--host", url, "--users", str(load.visitor_count), "--spawn-rate", str(load.visitor_count),
            "--run-time", f"{load.seconds}s", "--stop-timeout", "30", "--rate", str(load.rate_per_s),
            "--samples", str(samples), "--exit-code-on-error", "0", "--loglevel", "WARNING",
        ]  # fmt: skip
        try:
            ran = subprocess.run(  # noqa: S603 - our own command line
                command,
                cwd=_HERE.parent,
                env={**os.environ, "DATASERVER_TOKEN": token},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=load.seconds + _BESIDE_RUN_S,
                text=True,
            )
        except subprocess.TimeoutExpired as error:
            raise LoadRunFailed(f"Locust did not end: {error.stdout!r}"[-_SAID_CHARS:]) from error
        answered = read_lines(samples, Answered) if samples.exists() else []
        if ran.returncode != 0 or not answered:
            said = ran.stdout[-_SAID_CHARS:]
            raise LoadRunFailed(f"Locust ended with {ran.returncode} after {len(answered)} requests: {said}")
        return answered

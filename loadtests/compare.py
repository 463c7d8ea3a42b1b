"""`make load`: the same load on the server with its workers on and off; one page with both side by side.

The server gets the demo's tables, runs once with USE_SQLITE_WORKERS=1 and once with 0, and is asked by Locust at the
same fixed rate. Exit code 1 when a request failed that no bound refused, or the server did not end cleanly.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests import report
from loadtests.running_server import RunningServer, ServerFailed, free_port
from loadtests.samples import Answered, Run, read_lines
from loadtests.scenarios import SCENARIOS
from loadtests.summary import ALL, SMALL, Summary, summarise
from loadtests.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

_HERE = Path(__file__).parent
_PROGRAM = (sys.executable, "-m", "dataserver")
_FILL_S = 180.0
_BESIDE_RUN_S = 120.0  # what Locust may take beyond the run: its start, the survey, its end


class LoadRunFailed(Exception):
    """A part of the run did not do its work; the text says which and shows the end of its log."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.compare", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="how long each of the two runs lasts")
    parser.add_argument("--users", type=int, default=40, help="visitors at once")
    parser.add_argument("--rate", type=float, default=150.0, help="requests a second, all visitors together")
    parser.add_argument("--server", choices=("uvicorn", "h2corn"), default="uvicorn", help="the ASGI server")
    parser.add_argument(
        "--workers", choices=("process", "thread"), default="process", help="the first run's kind"
    )
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="dataserver-load-") as folder:
            _say("filling a data folder with the demo's tables")
            origin = _fill(Path(folder))
            token = _token(Path(folder))
            runs = [
                _run(Path(folder), token, options, label=f"workers {state}", flag=flag)
                for state, flag in (("on", "1"), ("off", "0"))
            ]
    except (LoadRunFailed, ServerFailed) as error:
        _say(f"failed: {error}")
        return 1
    page = _HERE / "report" / f"{time.strftime('%Y%m%d-%H%M%S')}.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text(report.render(runs, _facts(options, origin)), encoding="utf-8")
    summaries = [summarise(run) for run in runs]
    print(table(summaries))
    print(f"report: {page}")
    return 1 if any(summary.failures for summary in summaries) else 0


def table(summaries: Sequence[Summary]) -> str:
    """Return the figures of the runs for a terminal."""
    head = ("", "run", "asked", "per s", "p50", "p95", "p99", "worst", "refused", "failed")
    lines: list[tuple[str, ...]] = [head]
    for row in (SMALL, ALL, *sorted({each.name for summary in summaries for each in summary.by_name})):
        for summary in summaries:
            found = next(
                (each for each in (summary.small, summary.total, *summary.by_name) if each.name == row), None
            )
            if found is not None:
                times = (found.p50_ms, found.p95_ms, found.p99_ms, found.worst_ms)
                lines.append((
                    row, summary.label, f"{found.request_count:,}", f"{found.per_s:,.1f}",
                    *(report.milliseconds(value) for value in times),
                    str(found.refused_count), str(found.failed_count),
                ))  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    words = 2  # columns of words stand to the left
    text = [
        "  ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text += [""] + [
        f"{summary.label} ({summary.pool}): loop lag worst {report.milliseconds(summary.loop_lag_worst_ms)}, "
        f"p99 of readings {report.milliseconds(summary.loop_lag_p99_ms)}; memory peak {summary.memory_peak_bytes >> 20} MiB; "
        f"{summary.total.per_s:,.0f} of {summary.offered_per_s:,.0f} requests/s offered"
        for summary in summaries
    ]
    text += [
        f"failed, {summary.label}: {count} x {what}"
        for summary in summaries
        for what, count in summary.failures
    ]
    return "\n".join(text)


def _fill(folder: Path) -> str:
    """Let the demo fill the folder, and return where its tables come from as it says itself."""
    port = free_port()
    command = [*_PROGRAM, "demo", "--data-dir", str(folder), "--port", str(port)]
    with RunningServer(name="dataserver demo", command=command, port=port, start_s=_FILL_S) as server:
        server.stop()
        said = [
            line for line in server.log().splitlines() if "tables" in line.lower() and "from" in line.lower()
        ]
    return said[0].strip() if said else "the demo's tables"


def _token(folder: Path) -> str:
    command = [
        *_PROGRAM,
        "token",
        "create",
        "--role",
        "admin",
        "--name",
        "load",
        "--data-dir",
        str(folder),
    ]
    made = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)  # noqa: S603 - our own program
    if made.returncode != 0:
        raise LoadRunFailed(f"no token: {made.stderr}")
    return made.stdout.strip()


def _run(folder: Path, token: str, options: argparse.Namespace, *, label: str, flag: str) -> Run:
    port = free_port()
    command = [
        *_PROGRAM, "serve", "--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port),
        "--server", options.server,
    ]  # fmt: skip
    environment = {"USE_SQLITE_WORKERS": flag, "SQLITE_WORKER_KIND": options.workers}
    _say(f"{label}: {options.users} visitors, {options.rate:g} requests/s, {options.seconds} s")
    with RunningServer(
        name="dataserver serve", command=command, port=port, environment=environment
    ) as server:
        with Watch(server.url, token) as watch:
            answered = _locust(server.url, token, options)
        code = server.stop()
        if code != 0:
            raise LoadRunFailed(f"{label}: the server ended with {code}: {server.log()}")
    begun_s = min(each.begun_s for each in answered)
    ended_s = max(each.begun_s for each in answered)
    return Run(
        label=label,
        begun_s=begun_s,
        ended_s=ended_s,
        offered_per_s=options.rate,
        answered=answered,
        readings=[reading for reading in watch.readings if begun_s <= reading.at_s <= ended_s],
        pool=watch.pool,
    )


def _locust(url: str, token: str, options: argparse.Namespace) -> list[Answered]:
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as samples:
        command = [
            sys.executable, "-m", "locust", "-f", str(_HERE / "locustfile.py"), "--headless", "--only-summary",
            "--host", url, "--users", str(options.users), "--spawn-rate", str(options.users),
            "--run-time", f"{options.seconds}s", "--stop-timeout", "30", "--rate", str(options.rate),
            "--samples", samples.name, "--exit-code-on-error", "0", "--loglevel", "WARNING",
        ]  # fmt: skip
        environment = {**os.environ, "DATASERVER_TOKEN": token}
        ran = subprocess.Popen(  # noqa: S603 - our own command line
            command,
            cwd=_HERE.parent,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            said, _ = ran.communicate(timeout=options.seconds + _BESIDE_RUN_S)
        except subprocess.TimeoutExpired as error:
            ran.send_signal(signal.SIGKILL)
            said, _ = ran.communicate()
            raise LoadRunFailed(f"Locust did not end: {said[-2000:]}") from error
        answered = read_lines(Path(samples.name), Answered)
        if ran.returncode != 0 or not answered:
            raise LoadRunFailed(
                f"Locust ended with {ran.returncode} after {len(answered)} requests: {said[-2000:]}"
            )
        return answered


def _facts(options: argparse.Namespace, origin: str) -> dict[str, str]:
    mix = ", ".join(f"{scenario.name} {scenario.weight / 10:g} %" for scenario in SCENARIOS)
    return {
        "Machine": f"{os.cpu_count()} cores, shared with the load generator; {platform.system()} {platform.release()}",
        "Server": f"{options.server}, {options.workers} workers in the first run, none in the second",
        "Load": f"Locust, {options.users} visitors with a fixed rate each, {options.rate:g} requests/s together",
        "Mix": mix,
        "Small requests": "all but filtered lists, scans and exports, which read whole tables",
        "Tables": origin,
        "Loop lag": "how late the server's own 10 ms timer came, the worst between two readings half a second apart",
        "Late visitors": "a visitor whose answer is late asks late: where the rate sinks below the one offered, p99 is too kind",
    }


def _say(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

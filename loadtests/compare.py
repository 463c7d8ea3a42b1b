"""`make load`: the same load on the server with its workers on and off; one page with both side by side.

The server gets the demo's tables, runs once with USE_SQLITE_WORKERS=1 and once with 0, and is asked by Locust at the
same fixed rate. Exit code 1 when a request failed that no bound refused, or the server did not end cleanly.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests import report
from loadtests.one_run import Load, LoadRunFailed, admin_token, fill_with_demo, run_once
from loadtests.running_server import ServerFailed
from loadtests.scenarios import SCENARIOS
from loadtests.summary import ALL, SMALL, Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.samples import Run

_HERE = Path(__file__).parent
_REPEATS_COUNT = 2


def main(arguments: Sequence[str]) -> int:
    """Return the exit code."""
    load = _load(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server is ended, the folder removed
    try:
        with tempfile.TemporaryDirectory(prefix="dataserver-load-") as name:
            folder = Path(name)
            _say("filling a data folder with the demo's tables")
            origin = fill_with_demo(folder)
            token = admin_token(folder)
            runs = []
            for uses_workers in (True, False):
                _say(
                    f"workers {'on' if uses_workers else 'off'}: {load.visitor_count} visitors, "
                    f"{load.rate_per_s:g} requests/s, {load.seconds} s"
                )
                runs.append(_undisturbed(folder, token, load, uses_workers=uses_workers))
    except (LoadRunFailed, ServerFailed) as error:
        _say(f"failed: {error}")
        return 1
    page = _HERE / "report" / f"{time.strftime('%Y%m%d-%H%M%S')}.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text(report.render(runs, _facts(load, origin)), encoding="utf-8")
    summaries = [summarise(run) for run in runs]
    print(table(summaries))
    print(f"report: {page}")
    return 1 if any(summary.failures for summary in summaries) else 0


def _undisturbed(folder: Path, token: str, load: Load, *, uses_workers: bool) -> Run:
    """Return a run during which the machine did not stand still, or the last of the few that were tried."""
    run = run_once(folder, token, load, uses_workers=uses_workers)
    for _ in range(_REPEATS_COUNT):
        if run.machine_late_s <= report.LATE_S:
            break
        _say(f"the machine stood still for {run.machine_late_s:.1f} s: once more")
        run = run_once(folder, token, load, uses_workers=uses_workers)
    return run


def _load(arguments: Sequence[str]) -> Load:
    parser = argparse.ArgumentParser(prog="python -m loadtests.compare", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="how long each of the two runs lasts")
    parser.add_argument("--users", type=int, default=40, help="visitors at once")
    parser.add_argument("--rate", type=float, default=150.0, help="requests a second, all visitors together")
    parser.add_argument("--server", choices=("uvicorn", "h2corn"), default="uvicorn", help="the ASGI server")
    parser.add_argument(
        "--workers", choices=("process", "thread"), default="process", help="the first run's kind"
    )
    options = parser.parse_args(arguments)
    return Load(
        seconds=options.seconds,
        visitor_count=options.users,
        rate_per_s=options.rate,
        server=options.server,
        workers=options.workers,
    )


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
        f"{summary.total.per_s:,.0f} of {summary.offered_per_s:,.0f} requests/s offered; "
        f"an idle thread waited up to {summary.machine_late_s * 1e3:.0f} ms for the machine"
        for summary in summaries
    ]
    text += [
        f"failed, {summary.label}: {count} x {what}"
        for summary in summaries
        for what, count in summary.failures
    ]
    return "\n".join(text)


def _facts(load: Load, origin: str) -> dict[str, str]:
    mix = ", ".join(f"{scenario.name} {scenario.weight / 10:g} %" for scenario in SCENARIOS)
    return {
        "Machine": f"{os.cpu_count()} cores, shared with the load generator; {platform.system()} {platform.release()}",
        "Server": f"{load.server}, {load.workers} workers in the first run, none in the second",
        "Load": f"Locust, {load.visitor_count} visitors with a fixed rate each, {load.rate_per_s:g} requests/s together",
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

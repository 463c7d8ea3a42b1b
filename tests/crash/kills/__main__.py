"""`python -m tests.crash.kills [--kills 1000] [--only NAME]`: the table of all pools, each in a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from tests.crash.kills.run import Outcome, run
from tests.crash.kills.subjects import SUBJECTS

COLUMNS = (
    "pool", "kills", "answered", "told lost", "wrong", "missing", "doubled", "hung", "pool rebuilt",
    "files", "memfds", "threads", "MB", "s", "note",
)  # fmt: skip


def outcome_of(name: str, kills: int, limit_s: float, every_s: float) -> Outcome:
    """Run one pool in a process of its own; one that hangs is killed with all its workers."""
    command = [sys.executable, "-m", "tests.crash.kills", "--one", name, "--kills", str(kills)]
    command += ["--limit-s", str(limit_s), "--every-s", str(every_s)]
    process = subprocess.Popen(  # noqa: S603 - our own command line
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        out, _ = process.communicate(timeout=limit_s + 90)
        return msgspec.json.decode(out.splitlines()[-1], type=Outcome)
    except subprocess.TimeoutExpired:
        return Outcome(hung=1, note="the whole process hung and was killed")
    except (IndexError, msgspec.MsgspecError):
        return Outcome(note=f"the process ended with {process.returncode}")
    finally:
        with suppress(ProcessLookupError):  # nothing is left, as it should be
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def row_of(name: str, outcome: Outcome) -> list[str]:
    """Return the line of the table."""

    def change(field: str) -> str:
        if outcome.before is None or outcome.after is None:
            return "-"
        return f"{getattr(outcome.before, field)} -> {getattr(outcome.after, field)}"

    counts = (
        outcome.kills, outcome.answered, outcome.told_lost, outcome.wrong, outcome.missing, outcome.doubled,
        outcome.hung, outcome.rebuilt,
    )  # fmt: skip
    changes = [change(field) for field in ("files", "memory_files", "threads", "resident_mb")]
    return [name, *map(str, counts), *changes, str(outcome.seconds), outcome.note]


def print_table(rows: list[list[str]]) -> None:
    """Print rows in columns as wide as they need."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    for row in rows:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + "\n")


async def one(given: argparse.Namespace) -> None:
    """Run one pool in this process, print its outcome, and leave without waiting for anything that hangs."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = await run(
            SUBJECTS[given.one](),
            Path(folder) / "ledger",
            kills=given.kills,
            every_s=given.every_s,
            limit_s=given.limit_s,
            seed=7,
        )
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--every-s", type=float, default=0.05)
    parser.add_argument("--limit-s", type=float, default=240.0)
    parser.add_argument("--only", action="append", choices=list(SUBJECTS))
    parser.add_argument("--one", choices=list(SUBJECTS))
    given = parser.parse_args()
    if given.one:
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
        asyncio.run(one(given))
    names = given.only or list(SUBJECTS)
    outcomes = {name: outcome_of(name, given.kills, given.limit_s, given.every_s) for name in names}
    print_table([list(COLUMNS), *(row_of(name, each) for name, each in outcomes.items())])


if __name__ == "__main__":
    main()

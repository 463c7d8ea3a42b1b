"""`python -m tests.crash.kills [--kills 1000] [--only NAME]`: the table of all pools, one after the other.

Each pool is in a process of its own, which may take up to `--limit-s` and the `SLACK_S` after it. Which one runs, and
its row as soon as it is known, is told on stderr; the whole table goes to stdout at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
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
SLACK_S = 90.0
"""For a pool to start, to end, and to have what its workers wrote counted; then its process is killed."""


def outcome_of(name: str, kills: int, limit_s: float, every_s: float) -> Outcome:
    """Run one pool in a process of its own; one that hangs is killed with all its workers."""
    command = [sys.executable, "-m", "tests.crash.kills", "--one", name, "--kills", str(kills)]
    command += ["--limit-s", str(limit_s), "--every-s", str(every_s)]
    process = subprocess.Popen(  # noqa: S603 - our own command line
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        out, _ = process.communicate(timeout=limit_s + SLACK_S)
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


def table_of(rows: list[list[str]]) -> str:
    """Return rows in columns as wide as they need."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def in_turn(names: list[str], kills: int, limit_s: float, every_s: float) -> list[list[str]]:
    """Run pools one after the other, tell of each on stderr, and return the rows of the table."""
    rows = []
    for number, name in enumerate(names, 1):
        _tell(f"{number} of {len(names)}: {name}; {kills} kills, {limit_s + SLACK_S:g} s at most ...\n")
        began = time.monotonic()
        rows.append(row_of(name, outcome_of(name, kills, limit_s, every_s)))
        _tell(f"{table_of([list(COLUMNS), rows[-1]])}after {time.monotonic() - began:.1f} s in all\n")
    return rows


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


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
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.kills",
        description="Put pools under load, kill their workers at random, and print what became of the calls.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=1_000, help="how many workers of each pool to kill")
    parser.add_argument("--every-s", type=float, default=0.05, help="seconds between two kills")
    parser.add_argument(
        "--limit-s",
        type=float,
        default=240.0,
        help="seconds of load that a pool gets, however many kills are left then",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(SUBJECTS),
        help="run this pool and no other; may be given again for more (without it all run, peers included)",
    )
    parser.add_argument(
        "--one",
        choices=list(SUBJECTS),
        help="run this pool in this very process and print its outcome as JSON: what the others are started with",
    )
    given = parser.parse_args()
    if given.one:
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
        asyncio.run(one(given))
    rows = in_turn(given.only or list(SUBJECTS), given.kills, given.limit_s, given.every_s)
    sys.stdout.write(table_of([list(COLUMNS), *rows]))


if __name__ == "__main__":
    main()

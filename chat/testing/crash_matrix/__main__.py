"""`python -m chat.testing.crash_matrix`: run the matrix, print the audit; the exit code is 1 if anything is wrong."""

from __future__ import annotations

import contextlib
import logging
import shutil
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click
import structlog

from chat.testing.crash_matrix.audit import audited
from chat.testing.crash_matrix.evidence import gathered
from chat.testing.crash_matrix.plan import SABOTAGES, Plan
from chat.testing.crash_matrix.report import Report, as_json, as_table, reported
from chat.testing.crash_matrix.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command()
@click.option("--actions", default=10_000, show_default=True, help="How many actions are enqueued.")
@click.option(
    "--processes", default=4, show_default=True, help="How many processes deliver; a follower comes on top."
)
@click.option("--seed", default=0, show_default=True, help="What is enqueued, and what happens to whom.")
@click.option("--limit-s", type=float, help="Then it is broken off, an error.  [default: 100 + actions / 50]")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to work; it is kept, and must be empty.",
)
@click.option(
    "--sabotage",
    type=click.Choice(list(SABOTAGES)),
    help="Break the transport, to see that the audit finds it.",
)
@click.option("--calm", is_flag=True, help="No kills and a good server: each action is called once.")
@click.option("--json", "wants_json", is_flag=True, help="One line of JSON instead of the table.")
def main(
    *,
    actions: int,
    processes: int,
    seed: int,
    limit_s: float | None,
    folder: Path | None,
    sabotage: str | None,
    calm: bool,
    wants_json: bool,
) -> None:
    """Kill, freeze and stop processes that share a queue before a bad server, and audit what came of it."""
    try:
        plan = Plan(
            action_count=actions,
            process_count=processes,
            seed=seed,
            limit_s=100.0 + actions / 50 if limit_s is None else limit_s,
            sabotage=sabotage,
            is_rough=not calm,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no process is left behind by that either
    with _working_in(folder) as its_folder:
        report = anyio.run(_run, plan, backend_options={"use_uvloop": True})
        click.echo(as_json(report) if wants_json else as_table(report))
        if folder is None and not report.is_clean:
            kept = shutil.copytree(
                its_folder, f"{its_folder}-kept", ignore=shutil.ignore_patterns("*.sock", "p-*")
            )
            click.echo(f"what it left is in {kept}", err=True)
    sys.exit(0 if report.is_clean else 1)


@contextlib.contextmanager
def _working_in(folder: Path | None) -> Iterator[Path]:
    """Work in `folder`, or in one of our own that is taken away again."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.chdir(folder):
            yield folder
        return
    with tempfile.TemporaryDirectory(prefix="crash-matrix-") as own, contextlib.chdir(own):
        yield Path(own)


async def _run(plan: Plan) -> Report:
    began_s = time.monotonic()
    show = sys.stderr.isatty()
    supervisor = Supervisor(plan, partial(_tell, plan.action_count) if show else _tell_nothing)
    tally = await supervisor.run()
    took_s = time.monotonic() - began_s
    if show:
        sys.stderr.write("\n")
    return reported(plan, tally, audited(plan, await gathered(plan), tally.wrong), took_s)


def _tell(action_count: int, stored_count: int, settled_count: int) -> None:
    sys.stderr.write(f"\r{stored_count:,} of {action_count:,} enqueued, {settled_count:,} delivered ")


def _tell_nothing(_: int, __: int) -> None:
    """See `_tell`."""


if __name__ == "__main__":
    main()

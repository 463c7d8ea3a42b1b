"""How an import shows itself: a bar on a terminal, events in a log, and every bad line by its number."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from dataserver.cli.running import say
from dataserver.imports.order import Watch
from dataserver.imports.records import BadRecord
from dataserver.imports.source_file import SourceFile
from dataserver.imports.table_plan import Place

MAX_REPORTED_COUNT = 100
"""Bad lines that are reported one by one; of the rest, the number is."""

_log = structlog.get_logger(__name__)


@contextmanager
def watched(name: str) -> Iterator[Watch]:
    """Show an import while the block runs."""
    complaints = _Complaints()
    try:
        if sys.stderr.isatty():
            with _bar(name, complaints) as watch:
                yield watch
        else:
            yield Watch(storing=_log_stored, resuming=_say_resuming, complaining=complaints.add)
    finally:
        complaints.close()


def _log_stored(source: SourceFile, row_count: int) -> None:
    _log.debug(
        "import.batch_stored", row_count=row_count, read_bytes=source.read_bytes, size_bytes=source.size_bytes
    )


def _say_resuming(place: Place) -> None:
    say(f"going on after line {place.line_number:,}: {place.row_count:,} rows are in already")


@contextmanager
def _bar(name: str, complaints: _Complaints) -> Iterator[Watch]:
    from rich.console import Console  # noqa: PLC0415 - 100 ms that only a terminal pays
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{name}: looking", rows=0, total=None)

        def surveying(source: SourceFile) -> None:
            progress.update(task, total=source.size_bytes, completed=source.read_bytes)

        def storing(source: SourceFile, row_count: int) -> None:
            progress.update(
                task,
                description=f"{name}: storing",
                total=source.size_bytes,
                completed=source.read_bytes,
                rows=row_count,
            )

        yield Watch(surveying=surveying, storing=storing, resuming=_say_resuming, complaining=complaints.add)


class _Complaints:
    """Bad lines on stderr, the first of them one by one."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, bad: BadRecord) -> None:
        """Report a bad line."""
        self._count += 1
        if self._count <= MAX_REPORTED_COUNT:
            say(f"line {bad.line_number}: {bad.reason}")

    def close(self) -> None:
        """Say how many were not reported."""
        if self._count > MAX_REPORTED_COUNT:
            say(f"and {self._count - MAX_REPORTED_COUNT:,} more bad lines")

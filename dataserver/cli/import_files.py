"""`dataserver import sqlite|jsonl|csv|chat`: files in, with a bar on stderr and a line for each bad line."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import click

from dataserver.cli import import_log
from dataserver.cli.import_progress import watched
from dataserver.cli.output import is_terminal, write_json
from dataserver.cli.running import (
    Surroundings,
    failing_in_words,
    folder_options,
    quiet_surroundings,
    run_to_end,
    say,
    say_waiting,
)
from dataserver.commands import CopyDatabase
from dataserver.door import done, open_door
from dataserver.imports.importing import Outcome, import_file
from dataserver.imports.order import ImportRefused, Order
from dataserver.imports.records import UnreadableFile
from dataserver.imports.source_file import plain_copy
from dataserver.imports.survey import BadLine, Format, Reading
from workers import SystemClock

_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


def _rows_options(command: Any) -> Any:
    for option in (
        click.option(
            "--on-error",
            type=click.Choice(["skip", "stop"]),
            default="stop",
            show_default=True,
            help="What to do at a bad line; each is reported with its number.",
        ),
        click.option("--append", is_flag=True, help="Add to the table if it exists."),
        click.option("--primary-key", metavar="COLUMN", help="The new table's primary key."),
        folder_options,
    ):
        command = option(command)
    return command


@click.group(name="import")
def command() -> None:
    """Bring SQLite, JSON lines, CSV files or chat logs in, through the server that runs on the data folder, or without one."""


command.add_command(import_log.command)


@command.command(name="sqlite")
@_file
@click.argument("name")
@folder_options
def sqlite_file(*, file: Path, name: str, data_dir: Path | None, config: Path | None) -> None:
    """Copy the SQLite database FILE (.gz too) as the new database NAME; it may be in use meanwhile."""
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    with failing_in_words(UnreadableFile):
        around.folder.prepare()
        with plain_copy(file.absolute(), around.folder.root) as source:
            size_bytes = _copied(around, CopyDatabase(database=name, source=str(source)))
    if not is_terminal():
        write_json({"database": name, "bytes": size_bytes})
    say(f"{file.name} is the database {name} now: {size_bytes:,} bytes")


def _copied(around: Surroundings, copy: CopyDatabase) -> int:
    sizes: list[int] = []

    async def main() -> None:
        async with open_door(
            around.folder, around.settings.storage, command="import", waiting=say_waiting
        ) as door:
            sizes.append(await done(door, copy))

    run_to_end(main)
    return sizes[0]


@command.command()
@_file
@click.argument("name")
@click.argument("table")
@_rows_options
def jsonl(*, file: Path, name: str, table: str, **options: Any) -> None:
    """Read FILE, one JSON object a line (.gz too), into TABLE of the database NAME; killed, it goes on when run again."""
    _import_rows(Reading(file.absolute(), "jsonl"), name, table, **options)


@command.command(name="csv")
@_file
@click.argument("name")
@click.argument("table")
@click.option(
    "--delimiter", default=None, help="What separates fields; a comma, or a tab in a file named .tsv."
)
@_rows_options
def csv_file(*, file: Path, name: str, table: str, delimiter: str | None, **options: Any) -> None:
    """Read FILE, CSV with a header line (.gz too), into TABLE of the database NAME; killed, it goes on when run again."""
    separator = delimiter if delimiter is not None else "\t" if ".tsv" in file.suffixes else ","
    if len(separator) != 1 or separator in '"\r\n':
        raise click.UsageError(
            f"--delimiter is {separator!r}; allowed is one character that is no quote or line end"
        )
    format_: Format = "csv"
    _import_rows(Reading(file.absolute(), format_, separator), name, table, **options)


def _import_rows(
    reading: Reading,
    name: str,
    table: str,
    *,
    on_error: Literal["skip", "stop"],
    append: bool,
    primary_key: str | None,
    data_dir: Path | None,
    config: Path | None,
) -> None:
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    order = Order(
        reading=reading, database=name, table=table, on_error=on_error, append=append, primary_key=primary_key
    )

    async def main() -> None:
        with ExitStack() as stack:
            async with open_door(
                around.folder, around.settings.storage, command="import", waiting=say_waiting
            ) as door:
                watch = stack.enter_context(watched(reading.path.name))
                outcome = await import_file(door, order, clock=SystemClock(), watch=watch)
        _report(order, outcome)

    run_to_end(main, ImportRefused, BadLine, UnreadableFile)


def _report(order: Order, outcome: Outcome) -> None:
    where = f"{order.database}.{order.table}"
    if outcome.was_done_before:
        say(
            f"{order.reading.path.name} was imported into {where} before: {outcome.row_count:,} rows, nothing to do"
        )
    else:
        skipped = f", {outcome.skipped_count:,} bad lines skipped" if outcome.skipped_count else ""
        say(f"{outcome.row_count:,} rows of {order.reading.path.name} are in {where}{skipped}")
    if not is_terminal():
        write_json(
            {
                "database": order.database,
                "table": order.table,
                "rows": outcome.row_count,
                "skipped": outcome.skipped_count,
                "resumed_at_line": outcome.resumed_at_line,
                "was_done_before": outcome.was_done_before,
            }
        )

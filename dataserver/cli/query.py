"""`dataserver query NAME SQL`: one read, streamed."""

from __future__ import annotations

import sys
from contextlib import aclosing
from pathlib import Path

import click
import msgspec

from dataserver.cli.output import is_terminal, write_table
from dataserver.cli.running import folder_options, quiet_surroundings, run_to_end, say, say_waiting
from dataserver.commands import Query, RowFormat
from dataserver.door import Door, chunks, open_door

_MAX_TABLE_ROWS = 1_000


@click.command(name="query")
@click.argument("database", metavar="NAME")
@click.argument("sql")
@click.option(
    "--param", "-p", "params", multiple=True, help="A text for the next ? of the SQL; may be repeated."
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(["table", "json", "ndjson", "csv"]),
    help="How rows are written; a table on a terminal, else json.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds before it is stopped.",
)
@folder_options
def command(
    *,
    database: str,
    sql: str,
    params: tuple[str, ...],
    shape: str | None,
    timeout_s: float | None,
    data_dir: Path | None,
    config: Path | None,
) -> None:
    """Run one SELECT on the database NAME, through the server that runs on the data folder, or without one."""
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    wanted = shape or ("table" if is_terminal() else "json")

    async def main() -> None:
        async with open_door(
            around.folder, around.settings.storage, command="query", waiting=say_waiting
        ) as door:
            if wanted == "table":
                await _write_table(door, _query(database, sql, params, "ndjson", timeout_s))
            else:
                await _write_text(door, _query(database, sql, params, wanted, timeout_s))

    run_to_end(main)


def _query(database: str, sql: str, params: tuple[str, ...], shape: str, timeout_s: float | None) -> Query:
    row_format: RowFormat = msgspec.convert(shape, RowFormat)
    return Query(database=database, sql=sql, params=list(params), format=row_format, timeout_s=timeout_s)


async def _write_text(door: Door, query: Query) -> None:
    out = sys.stdout.buffer
    last = b"\n"
    async with aclosing(chunks(door, query)) as pieces:
        async for piece in pieces:
            out.write(piece)
            last = piece[-1:] or last
    if last != b"\n":
        out.write(b"\n")
    out.flush()


async def _write_table(door: Door, query: Query) -> None:
    """Write the first rows as a table; a reader of a terminal is not helped by more."""
    text = bytearray()
    line_count = 0
    async with aclosing(chunks(door, query)) as pieces:
        async for piece in pieces:
            text += piece
            line_count += piece.count(b"\n")
            if line_count > _MAX_TABLE_ROWS:
                break
    lines = bytes(text).splitlines()[:_MAX_TABLE_ROWS]
    rows: list[dict[str, object]] = [msgspec.json.decode(line) for line in lines]
    write_table(rows)
    more = line_count > _MAX_TABLE_ROWS
    say(f"the first {len(rows)} rows; --format json gives all" if more else f"{len(rows)} rows")

"""Real tables for a first look: what to bring in, from where, and bringing it in once.

The checkout may have a folder of real data beside it (`../shared/data`): Chinook, GeoNames and public chat logs.
Elsewhere the tables come from the `vega-datasets` package (the extra `demo`). Each table is imported by the same code
as `dataserver import`, so a demo that was killed goes on, and one that is complete stays as it is.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dataserver.commands import CopyDatabase, CreateToken, ListDatabases, ListTokens, RevokeToken
from dataserver.door import Door, done
from dataserver.imports.importing import import_file
from dataserver.imports.order import Order, Watch
from dataserver.imports.source_file import plain_copy
from dataserver.imports.survey import Format, Reading
from workers import Clock

TOKEN_NAME = "demo"  # noqa: S105 - the name of a token, no token
_PACKAGE = "vega_datasets"
_LEFT_OUT = frozenset({"la-riots"})  # a list of people who died is no demo
_MAX_JSON_BYTES = 16 * 1024 * 1024


class NoDemoData(Exception):
    """There is nothing to fill the folder with."""


@dataclass(frozen=True, kw_only=True)
class SqliteSource:
    """A database file that becomes a database."""

    database: str
    file: Path


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """A file of records that becomes a table."""

    database: str
    table: str
    file: Path
    format: Format
    primary_key: str | None = None


Source = SqliteSource | TableSource


@dataclass(frozen=True, kw_only=True)
class Provision:
    """What a demo is made of."""

    origin: str
    """Where the tables come from, for the person who looks at them."""
    sources: Sequence[Source]
    try_database: str
    try_sql: str
    """A first query that shows something."""


def provision(folder: Path | None) -> Provision:
    """Return what there is: the files of `folder` if it has any of them, else what the package ships.

    Raises:
        NoDemoData: Neither is there.
    """
    if folder is not None:
        from_folder = _of_folder(folder)
        if from_folder is not None:
            return from_folder
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NoDemoData(
            "no tables to show: pip install 'dataserver[demo]' brings some, --source names a folder of them"
        )
    return _of_package(Path(spec.submodule_search_locations[0]) / "_data")


def folder_beside_checkout() -> Path:
    """Return where real data lies if this runs from a checkout that has it beside it."""
    return Path(__file__).resolve().parents[2] / "shared" / "data"


def _of_folder(folder: Path) -> Provision | None:
    wanted: tuple[Source, ...] = (
        SqliteSource(database="chinook", file=folder / "chinook.sqlite"),
        SqliteSource(database="geonames", file=folder / "geonames.sqlite.gz"),
        TableSource(
            database="chat", table="irc", file=folder / "chat_irc.jsonl.gz", format="jsonl", primary_key="id"
        ),
        TableSource(
            database="chat",
            table="slack_ja",
            file=folder / "chat_slack_ja.jsonl.gz",
            format="jsonl",
            primary_key="id",
        ),
    )
    sources = [source for source in wanted if source.file.is_file()]
    if not sources:
        return None
    first = sources[0].database
    sql = "SELECT name, type FROM sqlite_schema ORDER BY name"
    if first == "chinook":
        sql = "SELECT Name, Composer, Milliseconds FROM Track ORDER BY Milliseconds DESC LIMIT 3"
    origin = f"{folder} (Chinook, MIT; GeoNames, CC BY 4.0; public chat logs, CC BY 4.0 and Apache-2.0: see its README)"
    return Provision(origin=origin, sources=sources, try_database=first, try_sql=sql)


def _of_package(folder: Path) -> Provision:
    kinds: dict[str, Format] = {".csv": "csv", ".json": "jsonl"}
    sources = [
        TableSource(database="vega", table=file.stem.replace("-", "_"), file=file, format=kinds[file.suffix])
        for file in sorted(folder.iterdir())
        if file.suffix in kinds and file.stem not in _LEFT_OUT
    ]
    return Provision(
        origin="the vega-datasets package (its README names the source of each)",
        sources=sources,
        try_database="vega",
        try_sql="SELECT Origin, count(*) AS cars, round(avg(Horsepower)) AS horsepower FROM cars GROUP BY Origin",
    )


async def fill(
    door: Door, wanted: Provision, *, work_folder: Path, clock: Clock, say: Callable[[str], None]
) -> None:
    """Bring in what is not there yet.

    Raises:
        UnreadableFile: A file cannot be read.
        CommandFailed: A table cannot be written.
    """
    present = set(await done(door, ListDatabases()))
    for source in wanted.sources:
        if isinstance(source, SqliteSource):
            if source.database not in present:
                with plain_copy(source.file, work_folder) as plain:
                    size_bytes = await done(door, CopyDatabase(database=source.database, source=str(plain)))
                say(f"{source.database}: {source.file.name}, {size_bytes:,} bytes")
        else:
            await _fill_table(door, source, clock, say)


async def _fill_table(door: Door, source: TableSource, clock: Clock, say: Callable[[str], None]) -> None:
    with _records(source) as reading:
        order = Order(
            reading=reading,
            database=source.database,
            table=source.table,
            on_error="skip",
            primary_key=source.primary_key,
        )
        outcome = await import_file(door, order, clock=clock, watch=Watch())
    if not outcome.was_done_before:
        say(f"{source.database}.{source.table}: {source.file.name}, {outcome.row_count:,} rows")


@contextmanager
def _records(source: TableSource) -> Iterator[Reading]:
    """Yield how to read a source; a JSON array becomes JSON lines first."""
    if source.file.suffix != ".json":
        yield Reading(source.file, source.format)
        return
    with tempfile.TemporaryDirectory(prefix="dataserver-demo-") as folder:
        lines = Path(folder) / f"{source.file.stem}.jsonl"
        with source.file.open("rb") as content, lines.open("wb") as out:
            array = msgspec.json.decode(content.read(_MAX_JSON_BYTES), type=list[msgspec.Raw])
            out.writelines(each + b"\n" for each in _on_one_line(array))
        yield Reading(lines, source.format)


def _on_one_line(array: Sequence[msgspec.Raw]) -> Iterator[bytes]:
    for each in array:
        yield msgspec.json.format(bytes(each), indent=-1)


async def renew_token(door: Door) -> str:
    """Return a new admin token; the one of the last demo is revoked, so that there is one at a time."""
    for token in await done(door, ListTokens()):
        if token["name"] == TOKEN_NAME and token["revoked_at_ms"] is None:
            await done(door, RevokeToken(id=token["id"]))
    issued = await done(door, CreateToken(name=TOKEN_NAME, role="admin"))
    text: str = issued["token"]
    return text
